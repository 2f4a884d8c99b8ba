"""A truncated body stores nothing, even if its beginning is valid by itself."""

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import closing
from urllib.parse import quote

import pytest
import requests

from app.api.http.whole import INCOMPLETE
from tests.api.events_given import SEED, headers
from tests.api.given import MODEL, NOTHING, NUMERIC, SELDON_MODEL, ndjson, number, prediction, truth
from tests.api.test_every_route import MONITOR, RECEIVER
from tests.cli.test_commands import PATIENCE, TRUTHLINE, await_ready, environment
from tests.servers import free_port

# The server's errors for chunks whose framing is truncated.
BROKEN_FRAMING = "the body is not what its head announces"
JSON = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/x-ndjson"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ROWS = [prediction(requestId=f"r{n}", label="a") for n in range(10)]
TRUTHS = [truth(f"r{n}", label="a") for n in range(10)]
RESULT = {"inference_id": "i", "model_id": "m/1", "class_name": "a", "confidence": 0.5}
SELDON = "/metrics-server/api/v1/pipeline/model"
EXPORT = "/model-monitoring/ai.h2o.mlops.monitoring.api.ModelMonitoringService/ExportMetric"
OIDC = "/auth/realms/h2o/protocol/openid-connect"


def detail(answer):
    return answer["detail"]


def message(answer):
    return answer["message"]


def roboflow(answer):
    return answer["error"]["message"]


def oauth(answer):
    return answer["error_description"]


# Of each view that reads a body: method, path, headers, a whole body, where errors say why.
READERS = {
    "ingest.post_predictions": ("POST", "/api/v1/predictions", LINES, ndjson(*ROWS), detail),
    "ingest.post_feedback": ("POST", "/api/v1/feedback", LINES, ndjson(*TRUTHS), detail),
    "seldon.post_subscribe": (
        "POST",
        f"{SELDON}/subscribe",
        JSON,
        SELDON_MODEL | NUMERIC,
        message,
    ),
    "seldon.post_feedback": (
        "POST",
        f"{SELDON}/feedback",
        JSON,
        SELDON_MODEL | {"requestId": "r", "feedback": number(1.0)},
        message,
    ),
    "roboflow.post_inference_stats": (
        "POST",
        "/inference-stats",
        JSON,
        {"inference_results": [RESULT]},
        roboflow,
    ),
    "roboflow.post_workspace_inference_stats": (
        "POST",
        "/{workspace}/inference-stats",
        JSON,
        {"inference_results": [RESULT]},
        roboflow,
    ),
    "roboflow.post_inference_metadata": (
        "POST",
        "/{workspace}/inference-stats/metadata",
        JSON,
        {"data": [{"inference_ids": ["i"], "field_name": "f", "field_value": "v"}]},
        roboflow,
    ),
    "h2o.post_export": (
        "POST",
        EXPORT,
        JSON,
        {"deploymentId": "d", "metricName": "predictions"},
        message,
    ),
    "craft.put_single_value": (
        "PUT",
        "/api/v1/metrics/single-value/m",
        JSON,
        {"value": 1, "execution_id": "x"},
        message,
    ),
    "craft.post_list_values": (
        "POST",
        "/api/v1/metrics/list-values/m",
        JSON,
        {"values": [1], "execution_id": "x"},
        message,
    ),
    "craft.post_refresh": ("POST", "/api/v1/auth/refresh", JSON, {"refresh_token": "t"}, message),
    "oidc.post_token": ("POST", f"{OIDC}/token", FORM, "grant_type=refresh_token", oauth),
    "oidc.post_revoke": ("POST", f"{OIDC}/revoke", FORM, "token=t", oauth),
    "scores.put_positive_class": (
        "PUT",
        "/api/v1/models/positive-class?model=m",
        JSON,
        {"positiveClass": "a"},
        detail,
    ),
    "steps.put_execution": ("PUT", "/api/v1/executions/x", JSON, {"pipeline": "p"}, detail),
    "monitors.put_monitor_": (
        "PUT",
        "/api/v1/monitors/x",
        JSON,
        MONITOR | {"notify": []},
        detail,
    ),
    "receivers.put_receiver_": ("PUT", "/api/v1/receivers/x", JSON, RECEIVER, detail),
    "seldon_v1.post_event": ("POST", "/", JSON | headers(), SEED, detail),
    "web.make_monitor": ("POST", "/monitors", FORM, "name=x", detail),
    "web.log_in": ("POST", "/login", FORM, "key=k", detail),
    "web.update": ("POST", "/web/_dash-update-component", JSON, {}, detail),
}
READ_NOTHING = {"monitors.test_monitor", "web.log_out"}


@pytest.fixture(scope="module")
def port(shared_settings):
    """Where a real server listens, over the database of the tests."""
    port = free_port()
    command = [*TRUTHLINE, "serve", "--no-worker", "--port", str(port)]
    with subprocess.Popen(
        command,
        env=environment(TRUTHLINE_DATABASE_URL=shared_settings.database_url),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            await_ready(f"http://127.0.0.1:{port}", process)
            yield port
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(PATIENCE)


@pytest.fixture
def key(workspace):
    """What opens everything in this test's workspace."""
    return {"Authorization": f"Bearer {workspace.admin_key}"}


@pytest.fixture
def session(port, workspace):
    """The cookie of a session of the pages."""
    login = requests.post(
        f"http://127.0.0.1:{port}/login",
        data={"key": workspace.admin_key},
        allow_redirects=False,
        timeout=PATIENCE,
    )
    return {"Cookie": login.headers["Set-Cookie"].partition(";")[0]}


def connection(port, method, path, named, sent):
    """A socket on which a request was sent as far as `sent` goes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in named.items()]
    connected = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    connected.sendall("\r\n".join([*lines, "", ""]).encode() + sent)
    return connected


def answer_to_half(port, method, path, named, sent):
    """Status and JSON that a client gets that sends no more, but waits for an answer."""
    with closing(connection(port, method, path, named, sent)) as half:
        half.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: half.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def encoded(body):
    return (body if isinstance(body, str) else json.dumps(body)).encode()


def test_every_view_that_takes_a_body_is_tried(app):
    taking = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if rule.methods & {"POST", "PUT", "PATCH"}
    }

    assert taking == READERS.keys() | READ_NOTHING


@pytest.mark.parametrize("view", READERS)
def test_less_than_announced_is_refused_in_the_dialects_form(
    port, workspace, key, session, stored, view
):
    method, path, named, body, why = READERS[view]
    path, body = path.format(workspace=quote(workspace.name)), encoded(body)
    length = {"Content-Length": str(len(body) + 1)}  # what came is a whole body, but for one space

    status, said = answer_to_half(port, method, path, named | key | session | length, body)

    assert (status, why(said)) == (400, INCOMPLETE)
    assert stored() == NOTHING


# --- the retry ------------------------------------------------------------------------------


def refusals(port):
    """How many batches of predictions were refused with 400."""
    text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE).text
    wanted = 'method="POST",route="/api/v1/predictions",status="400"'
    counts = [
        line.rpartition(" ")[2]
        for line in text.splitlines()
        if wanted in line and "_count{" in line
    ]
    return sum(map(float, counts))


def send_part(port, named, body, sent):
    """Announce a body, send some of it, and be gone."""
    before, deadline = refusals(port), time.monotonic() + PATIENCE
    length = {"Content-Length": str(len(body))}
    connection(port, "POST", "/api/v1/predictions", named | length, body[:sent]).close()
    while refusals(port) == before:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("form", [LINES, JSON], ids=["lines", "JSON"])
def test_the_retry_of_what_was_cut_short_is_taken_whole(port, key, stored, form):
    body = encoded(ndjson(*ROWS) if form is LINES else {"predictions": ROWS})
    named = form | key | {"Idempotency-Key": "k"}

    send_part(port, named, body, sent=len(ndjson(*ROWS[:4])))
    send_part(port, named, body, sent=0)
    assert stored() == NOTHING

    again = requests.post(
        f"http://127.0.0.1:{port}/api/v1/predictions", data=body, headers=named, timeout=PATIENCE
    )
    assert again.json() == {"accepted": 10, "duplicates": 0, "pending": 0}


# --- chunks ---------------------------------------------------------------------------------

CHUNK = ndjson(*[MODEL | {"label": "a"}] * 4).encode()
FIRST = f"{len(CHUNK):x}\r\n".encode() + CHUNK
CUTS = {
    "within its first chunk": FIRST[:-10],
    "before the end of a chunk": FIRST,
    "between chunks": FIRST + b"\r\n",
    "within a size": FIRST + b"\r\n1",
    "before the last line end": FIRST + b"\r\n0\r\n",
}
CHUNKED = LINES | {"Transfer-Encoding": "chunked"}


@pytest.mark.parametrize("sent", CUTS.values(), ids=list(CUTS))
def test_chunks_without_an_end_are_refused(port, key, stored, sent):
    status, said = answer_to_half(port, "POST", "/api/v1/predictions", CHUNKED | key, sent)

    assert (status, said["detail"]) in ((400, INCOMPLETE), (400, BROKEN_FRAMING))
    assert stored() == NOTHING


def test_whole_chunks_are_taken(port, key):
    sent = FIRST + b"\r\n0\r\n\r\n"
    status, said = answer_to_half(port, "POST", "/api/v1/predictions", CHUNKED | key, sent)

    assert (status, said["accepted"]) == (200, 4)
