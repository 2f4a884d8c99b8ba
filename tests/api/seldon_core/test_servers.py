"""Metrics servers as they are configured: replies that are sent on, and whose events are whose."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from app.api.seldon_core.servers import read_metrics_servers
from app.factory import create_app
from tests.api.events_given import SEED, configured, counted, headers, samples, send
from tests.api.given import keyed_client
from tests.servers import free_port

RIGHT = {"true_positive": {"CLASS_2": 1}, "true_negative": {"CLASS_2": 1}}


# --- replies --------------------------------------------------------------------------------


@contextmanager
def receiver(*statuses):
    """A server that takes replies: its URL, and what it got. It answers with one status each."""
    received, answers = [], iter(statuses)

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((dict(self.headers), body))
            self.send_response(next(answers, 200))
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - as the library names them

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/replies", received
        server.shutdown()


@pytest.fixture
def replying(app, database, workspace, tmp_path):
    """Make a client of a server that replies to a URL."""

    def make(url):
        server = {"reply_url": url, "event_type": "my.metrics", "event_source": "my.source"}
        return keyed_client(configured(app, database, tmp_path, server), workspace.admin_key)

    return make


def test_the_reply_is_sent_on(replying):
    with receiver() as (url, received):
        answer = send(replying(url), SEED, "e1")

    ((said, body),) = received
    assert (answer.status_code, body) == (200, b"{}")
    assert said["Content-Type"] == "application/json"
    echoed = {name.lower(): value for name, value in said.items() if name.lower()[:3] == "ce-"}
    assert echoed == {name: value for name, value in answer.headers if name.startswith("ce-")}
    assert echoed["ce-id"] == "e1"
    assert (echoed["ce-type"], echoed["ce-source"]) == ("my.metrics", "my.source")
    assert echoed["ce-requestid"] == "r1"


@pytest.mark.parametrize("status", [400, 503, 302, 307])
def test_a_failing_reply_fails_the_request_as_at_the_vendor_and_is_not_counted_again(
    replying, status
):
    with receiver(status, status) as (url, received):
        client = replying(url)
        answers = [send(client) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [500, 500, 200]
    assert answers[0].json["detail"] == f"the reply URL returned {status}"
    assert len(received) == 3
    assert counted(client) == RIGHT


def test_an_undeliverable_reply_is_reported(replying):
    client = replying(f"http://127.0.0.1:{free_port()}")
    answer = send(client)

    assert (answer.status_code, answer.json["detail"]) == (500, "the reply URL can't be reached")
    assert counted(client) == RIGHT


def test_a_reply_that_takes_too_long_fails(replying, monkeypatch):
    monkeypatch.setattr("app.api.seldon_core.replies.TIMEOUT_SECONDS", 0.1)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as mute:  # accepts only
        client = replying(f"http://127.0.0.1:{mute.server_port}")
        answer = send(client)

    assert (answer.status_code, answer.json["detail"]) == (500, "the reply URL can't be reached")


def test_what_is_refused_is_not_replied_to(replying):
    with receiver() as (url, received):
        assert send(replying(url), {"truth": {}}).status_code == 400

    assert received == []


# --- configuration --------------------------------------------------------------------------


def test_the_first_server_that_fits_counts(app, database, workspace, tmp_path):
    servers = [
        {"namespace": "a", "name": "m", "image": "first:1"},
        {"name": "m", "image": "second:2"},
        {"image": "third:3"},
    ]
    client = keyed_client(configured(app, database, tmp_path, *servers), workspace.admin_key)
    for id_, (namespace, name) in enumerate([("a", "m"), ("b", "m"), ("a", "other")]):
        send(client, SEED, str(id_), namespace=namespace, inferenceservicename=name)

    labels = ("seldon_deployment_namespace", "deployment_name", "model_image", "model_version")
    assert {tuple(said) for _, *said in samples(client, *labels)} == {
        ("a", "m", "first", "1"),
        ("b", "m", "second", "2"),
        ("a", "other", "third", "3"),
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[[deployment]]\nstorage_uri = "Nothing"', "'Nothing' is not a valid MetricKind"),
        ('[[deployment]]\nreply_url = "file:///etc/passwd"', "reply_url"),
        ('[[deployment]]\nmodel = "m"', "unknown field `model`"),
        ("deployment = 1", "Expected `array`"),
        ("[[deployment", "Expected ']]'"),
    ],
)
def test_a_file_that_is_wrong_stops_the_start(tmp_path, text, reason):
    file = tmp_path / "servers.toml"
    file.write_text(text)

    with pytest.raises(ValueError, match=reason) as error:
        read_metrics_servers(str(file))
    assert str(error.value).startswith(str(file))


def test_a_file_that_is_not_there_stops_the_start(app, database, tmp_path):
    settings = replace(app.extensions["settings"], metrics_servers=str(tmp_path / "none.toml"))

    with pytest.raises(ValueError, match="No such file"):
        create_app(settings, database)


# --- whose events ---------------------------------------------------------------------------


@pytest.fixture
def open_app(app, database, workspace):
    """A server where events without a key belong to this test's workspace."""
    settings = replace(app.extensions["settings"], events_workspace=workspace.name)
    return create_app(settings, database)


def test_events_without_a_key_belong_to_the_workspace_that_is_set(open_app, client):
    broker = open_app.test_client()

    assert send(broker).status_code == 200
    assert counted(broker) == counted(client) == RIGHT


def test_a_key_goes_first(open_app, client, neighbour_key):
    named = headers() | {"X-API-Key": neighbour_key}

    assert open_app.test_client().post("/", json=SEED, headers=named).status_code == 200
    assert counted(client) == {}
    wrong = headers() | {"X-API-Key": "tl_wrong"}
    assert open_app.test_client().post("/", json=SEED, headers=wrong).status_code == 401


def test_nothing_else_is_open(open_app):
    stranger = open_app.test_client()

    for path in ("/api/v1/models", "/model-monitoring/v1/deployment"):
        assert stranger.get(path).status_code == 401
    assert stranger.post("/api/v1/predictions", json={"predictions": []}).status_code == 401


def test_a_workspace_that_is_not_there_lets_brokers_try_again(app, database):
    settings = replace(app.extensions["settings"], events_workspace="nowhere")
    answer = send(create_app(settings, database).test_client())

    assert answer.status_code == 503
    assert "nowhere" in answer.json["detail"]


def test_the_key_may_stand_in_the_sinks_url(app, client, workspace):
    sink = f"/?api_key={workspace.ingest_key}"
    answer = app.test_client().post(sink, json=SEED, headers=headers())

    assert answer.status_code == 200
    assert counted(client) == RIGHT
    refusal = app.test_client().post(sink, json={}, headers=headers("2"))
    assert (refusal.status_code, refusal.json["detail"]) == (400, "truth is required")


def test_sinks_of_many_at_once(app, client, workspace):
    """Each gets its own verdict, though they are stored together."""

    def deliver(number):
        body = SEED if number % 3 else {"truth": SEED["truth"], "response": {"data": {}}}
        clashing = {"modelid": "value"} if number % 5 == 0 else {}
        return send(client, body, str(number), **clashing).status_code

    row = {"namespace": "default", "pipeline": "multiclass-model", "model": "value", "value": 1}
    assert client.post("/api/v1/predictions", json={"predictions": [row]}).status_code == 200
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(deliver, range(90)))

    good = [number for number in range(90) if number % 3 and number % 5]
    assert [number for number, status in enumerate(statuses) if status == 200] == good
    assert set(statuses) == {200, 400}
    assert counted(client)["true_positive"] == {"CLASS_2": len(good)}
