"""Every route: which callers it accepts and rejects, and that no rejection reveals what exists.

A new route is tested too. One that reads needs a row in QUESTIONS, one that requires no key a row
in OPEN.
"""

import logging
import re
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.auth.keys import Role, create_key
from app.auth.workspaces import find_or_create_workspace
from tests.api.events_given import send as send_event
from tests.api.given import (
    LIST,
    MINUTE,
    MODEL,
    NOTHING,
    SELDON,
    SELDON_MODEL,
    SINGLE,
    append,
    categorical,
    feed_back,
    given_pairs,
    index,
    keyed_client,
    predict,
    prediction,
    record,
    recorded,
    subscribed,
    verdict,
)
from tests.api.h2o_given import DAY, H2O, given_deployed
from tests.api.issuers import hmac_signed

TOKENS = "/auth/realms/<string:realm>"
# Routes that require no key: they show nothing private, or take a secret of their own.
OPEN = {
    "/docs/",
    "/docs/start.js",
    "/docs/assets/<path:name>",
    "/openapi.json",
    "/problems",
    "/livez",
    "/readyz",
    "/metrics",
    "/protocol",
    "/api/v1/auth/refresh",
    f"{TOKENS}/protocol/openid-connect/token",
    f"{TOKENS}/protocol/openid-connect/revoke",
    f"{TOKENS}/.well-known/openid-configuration",
}
# Routes that require a key at a path whose other methods are public.
CLOSED = {("POST", "/")}
# Pages need a session, which starts with a key: tests/web has their access rules.
PAGES = {
    "/",
    "/model",
    "/drift",
    "/requests",
    "/request",
    "/executions",
    "/monitors",
    "/monitor",
    "/new-monitor",
    "/status",
    "/login",
    "/logout",
    "/export/<string:panel>.csv",
    "/web/_dash-layout",
    "/web/_dash-dependencies",
    "/web/_dash-update-component",
    "/web/_dash-component-suites/<string:package>/<path:file>",
    "/web/assets/<path:file>",
}
# What decides who is notified takes an admin key: many applications have one that ingests.
ADMINS = ("/api/v1/monitors", "/api/v1/receivers")
# Values of path parameters: the names of what `given_something` stores.
NAMED = "x"
RECEIVER = {"kind": "webhook", "url": "https://receiver.example"}
MONITOR = MODEL | {
    "metric": "accuracy",
    "window": "1h",
    "compare": {"with": "value", "value": 0.8},
    "rule": {"is": "below"},
    "notify": [NAMED],
}
# For each route that reads: a question about what `given_something` stores.
NATIVE_DAY = {"startTime": "2025-02-25T00:00:00Z", "endTime": "2025-02-26T00:00:00Z"}
ROBOFLOW_DAY = {"startTime": "2025-02-25 00:00:00", "endTime": "2025-02-26 00:00:00"}
NATIVE_MODEL = MODEL | NATIVE_DAY
QUESTIONS = {
    "/<string:workspace>/inference-stats": ROBOFLOW_DAY,
    "/api/v1/metrics/classification": NATIVE_MODEL,
    "/api/v1/metrics/regression": NATIVE_MODEL | {"model": "price"},
    "/api/v1/metrics/scores": NATIVE_MODEL,
    "/api/v1/metrics/corrected-accuracy": NATIVE_MODEL,
    "/api/v1/metrics/score-curves": {k: v for k, v in NATIVE_MODEL.items() if k != "interval"},
    "/api/v1/metrics/compare": NATIVE_MODEL | {"b.endTime": "2025-02-27T00:00:00Z"},
    "/api/v1/metrics/changes": NATIVE_MODEL | {"b.endTime": "2025-02-27T00:00:00Z"},
    "/api/v1/metrics/drift": NATIVE_MODEL
    | {"of": "predictedLabel", "b.endTime": "2025-02-27T00:00:00Z"},
    "/api/v1/inference-stats": NATIVE_DAY,
    "/api/v1/models": NATIVE_DAY,
    "/api/v1/metrics/label-delay": NATIVE_MODEL,
    "/api/v1/requests": NATIVE_MODEL,
    f"/api/v1/requests/{NAMED}": {},
    "/api/v1/export/predictions": NATIVE_MODEL,
    "/api/v1/export/outcomes": NATIVE_MODEL,
    SINGLE: {"filters[execution_id]": NAMED},
    LIST: {"filters[name]": NAMED},
    "/api/v1/executions": {},
    f"/api/v1/executions/{NAMED}": {},
    "/api/v1/monitors": {},
    f"/api/v1/monitors/{NAMED}": {},
    f"/api/v1/monitors/{NAMED}/history": {},
    "/api/v1/receivers": {},
    f"/api/v1/receivers/{NAMED}": {},
    "/api/v1/metrics/steps": {"name": NAMED} | MINUTE | {"endTime": "2999-01-01T00:00:00Z"},
    "/api/v1/metrics/steps/executions": {"name": NAMED},
    "/api/v1/metrics/steps/values": {"name": NAMED, "execution": NAMED},
    H2O: {},
    f"{H2O}/x": {},
    f"{H2O}/x/models": {},
    **{
        f"{H2O}/x/metrics/{model}/{metric}": DAY
        for model in ("", NAMED)
        for metric in ("health", "operational", "drift")
    },
    "/v1/metrics": {},
    f"{SELDON}/metrics/pipeline/classification": SELDON_MODEL | MINUTE,
    f"{SELDON}/metrics/pipeline/regression": SELDON_MODEL | MINUTE | {"modelName": "price"},
    f"{SELDON}/pipeline/subscriptions": {"namespace": "shop"},
}
# The same for those that read by POST: the body.
ORDERS = {
    "/model-monitoring/ai.h2o.mlops.monitoring.api.ModelMonitoringService/ExportMetric": {
        "deploymentId": NAMED,
        "metricName": "predictions",
    }
    | DAY,
}
# What a refusal looks like, by path: its members.
FORMS = {
    "/metrics-server/": {"code", "message", "details"},
    "/model-monitoring/": {"code", "message", "details"},
    "/x/inference-stats": {"error"},
    "/inference-stats": {"error"},
    SINGLE: {"message", "name", "request_id"},
    LIST: {"message", "name", "request_id"},
    "/": {"type", "title", "status", "detail"},
}


def routes(app):
    """(method, rule) of every route."""
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods - {"OPTIONS", "HEAD"}):
            yield method, rule.rule


def path_of(rule, workspace="x"):
    """A path that the rule matches; a workspace in it is the one named."""
    return re.sub("<[^>]+>", NAMED, rule.replace("<string:workspace>", workspace))


def is_open(method, rule):
    return rule in OPEN and (method, rule) not in CLOSED


def guarded(app, workspace="x"):
    """(method, path) of every route that requires a key."""
    found = [(method, rule) for method, rule in routes(app) if not is_open(method, rule)]
    found = [(method, rule) for method, rule in routes(app) if rule not in OPEN | PAGES]
    assert len(found) >= 8
    return [(method, path_of(rule, workspace)) for method, rule in found]


def walk(app, client, workspace="x", **request):
    """The answer of each guarded route."""
    doors = guarded(app, workspace)
    return {(m, path): client.open(path, method=m, **request) for m, path in doors}


def statuses(answers):
    return {door: answer.status_code for door, answer in answers.items()}


def members_of_refusals(path):
    return next(members for prefix, members in FORMS.items() if path.startswith(prefix))


def given_something(client):
    """Pairs of a classifier and of a regressor, and a subscription. Returns its id."""
    given_pairs(client, [("a", "a")])
    verdict(predict(client, prediction(requestId=NAMED, label="a")))
    assert send_event(client).status_code == 200
    given_pairs(client, [(1, 1)], output="value", model="price")
    given_deployed(client, {"label": "a"}, deployment=NAMED)
    recorded(record(client, NAMED, 0.5))
    recorded(append(client, NAMED, [0.5, 0.25]))
    assert client.put(f"/api/v1/receivers/{NAMED}", json=RECEIVER).status_code == 200
    assert client.put(f"/api/v1/monitors/{NAMED}", json=MONITOR).status_code == 200
    return subscribed(client, categorical("a", "b"))


# --- who is not let in ----------------------------------------------------------------------


def test_no_list_of_this_page_names_a_route_that_is_gone(app):
    rules = {rule for _, rule in routes(app)}

    assert rules >= OPEN | PAGES
    assert set(map(path_of, QUESTIONS | ORDERS)) <= set(map(path_of, rules))


def test_open_routes_ask_for_no_key(app):
    for method, rule in routes(app):
        if is_open(method, rule):
            path = rule.replace("<path:name>", "swagger-ui.css").replace("<string:realm>", "x")
            with app.test_client().open(path, method=method) as answer:
                assert answer.status_code not in (401, 403), path


def test_without_a_key_no_route_opens(app):
    answers = walk(app, app.test_client())

    assert set(statuses(answers).values()) == {401}
    assert {answer.headers["WWW-Authenticate"] for answer in answers.values()} == {"Bearer"}
    for (_, path), answer in answers.items():
        assert set(answer.json) == members_of_refusals(path), path


@pytest.fixture
def wrong_credentials(app, database, workspace):
    """Credentials that grant no access, by what is wrong with them."""
    key = workspace.admin_key
    with database.writing() as conn:
        revoked = create_key(conn, workspace.id, Role.ADMIN, name="revoked")
        conn.execute(text("UPDATE api_key SET revoked_at = now() WHERE name = 'revoked'"))
        expired = create_key(conn, workspace.id, Role.ADMIN, lifetime=timedelta(seconds=-1))
    form = {"grant_type": "refresh_token", "refresh_token": key}
    path = "/auth/realms/x/protocol/openid-connect/token"
    given = app.test_client().post(path, data=form).json
    return {
        "invented": "tl_invented-key-that-was-never-made",
        "revoked": revoked,
        "expired": expired,
        "longer": key + "x",
        "shorter": key[:-1],
        "other case": key.swapcase(),
        "refresh token": given["refresh_token"],
        "tampered": given["access_token"][:-2],
        "unsigned": given["access_token"].rpartition(".")[0] + ".",
        "deep": hmac_signed(b"{}", b"[" * 3000, b""),
        "no text": "\xff",
        "long": "x" * 7000,
    }


def test_with_a_wrong_credential_no_route_opens(app, wrong_credentials):
    for wrong, credential in wrong_credentials.items():
        for headers in ({"Authorization": f"Bearer {credential}"}, {"X-API-Key": credential}):
            answers = walk(app, app.test_client(), headers=headers)
            assert set(statuses(answers).values()) == {401}, wrong
            assert not [answer for answer in answers.values() if credential in answer.text]


def test_a_wrong_key_gets_the_same_response_whatever_is_wrong(app, wrong_credentials):
    """Or one could find out which keys there were."""
    kinds = [wrong_credentials[kind] for kind in ("invented", "revoked", "expired", "longer")]
    for method, path in guarded(app):
        answers = [keyed_client(app, key).open(path, method=method) for key in kinds]
        assert len(set(map(nameless, answers))) == 1, path


def nameless(answer):
    """The body without the request's own id."""
    return answer.text.replace(answer.headers["X-Request-ID"], "")


# --- roles ----------------------------------------------------------------------------------


def test_a_read_key_reads_and_an_ingest_key_writes_and_neither_does_both(app, workspace, stored):
    own = workspace.name
    empty = {"json": {"inference_results": [], "data": []}}  # a body that names its subject
    read = statuses(walk(app, keyed_client(app, workspace.read_key), own, **empty))
    ingest = statuses(walk(app, keyed_client(app, workspace.ingest_key), own, **empty))
    admin = statuses(walk(app, keyed_client(app, workspace.admin_key), own, **empty))

    for method, path in guarded(app, own):
        reads = method == "GET" or path in ORDERS
        assert (read[method, path] == 403) == (not reads), path
        assert (ingest[method, path] == 403) == (reads or path.startswith(ADMINS)), path
        assert admin[method, path] not in (401, 403), path
    assert stored() == NOTHING


def test_whatever_reads_is_walked(app):
    """By its method: the response to a GET belongs to a workspace."""
    read = {rule for method, rule in routes(app) if rule not in OPEN | PAGES and method == "GET"}
    assert set(map(path_of, read)) == set(map(path_of, QUESTIONS))


def test_403_is_the_same_whether_a_thing_exists(app, client, workspace):
    id_ = given_something(client)
    reader = keyed_client(app, workspace.read_key)

    def refusals(subscription, request_id):
        path = f"{SELDON}/pipeline/model/unsubscribe"
        yield reader.delete(path, query_string={"subscriptionId": subscription})
        yield feed_back(reader, request_id, index(0))
        yield feed_back(reader, request_id, index(0), modelName="unknown")

    there = list(refusals(id_, "r"))
    absent = list(refusals("1", "no-such-request"))
    assert {answer.status_code for answer in there + absent} == {403}
    assert len({answer.data for answer in there + absent}) == 1


# --- neighbours -----------------------------------------------------------------------------


def ask_all(client, workspace):
    """The response of each route that reads; for one workspace if the path names it."""
    got = {
        rule: client.get(path_of(rule, workspace.name), query_string=query)
        for rule, query in QUESTIONS.items()
    }
    return got | {path: client.post(path, json=body) for path, body in ORDERS.items()}


def test_a_neighbour_gets_the_response_of_a_stranger(app, client, neighbour, database, workspace):
    """A stranger's workspace is empty: data of other workspaces does not change the response."""
    given_something(client)
    with database.writing() as conn:
        nowhere = find_or_create_workspace(conn, f"{workspace.name}-stranger")
        stranger = keyed_client(app, create_key(conn, nowhere, Role.ADMIN))

    mine, theirs, nobodys = (ask_all(c, workspace) for c in (client, neighbour, stranger))
    for path in mine:
        assert mine[path].status_code == 200, path
        assert undated(theirs[path]) == undated(nobodys[path]), path
        assert theirs[path].status_code == nobodys[path].status_code, path
        assert theirs[path].data != mine[path].data, path


def undated(answer):
    """The body without its moment."""
    return re.sub(r'"asOf":"[^"]+"', "", answer.text)


# --- secrets --------------------------------------------------------------------------------


def test_no_secret_leaves_by_logs_errors_or_metrics(app, workspace, wrong_credentials, caplog):
    """Each way to present one, at each route, also where the request fails."""
    caplog.set_level(logging.DEBUG)
    secrets = [workspace.read_key, workspace.admin_key, *wrong_credentials.values()]
    said = ""
    for secret in secrets:
        for request in (
            {"headers": {"Authorization": f"Bearer {secret}"}},
            {"headers": {"X-API-Key": secret}},
            {"query_string": {"api_key": secret, "startTime": secret}},
            {"json": {"api_key": secret, "refresh_token": secret}},
        ):
            said += "".join(a.text for a in walk(app, app.test_client(), **request).values())
    said += told_by_the_exchanges(app.test_client(), secrets)
    said += caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    said += app.test_client().get("/metrics").text
    assert len(caplog.records) > 100
    assert [secret for secret in secrets if secret in said] == []


def told_by_the_exchanges(client, secrets):
    """What the exchanges say, without the tokens that they are for."""
    said = ""
    for secret in secrets:
        form = {"grant_type": "refresh_token", "refresh_token": secret, "token": secret}
        answers = [
            client.post("/api/v1/auth/refresh", json={"refresh_token": secret}),
            client.post("/api/v1/auth/refresh", data=secret.encode(), mimetype="application/json"),
            *(
                client.post(f"/auth/realms/x/protocol/openid-connect/{end}", data=form)
                for end in ("token", "revoke")
            ),
        ]
        said += "".join(answer.text for answer in answers if answer.status_code != 200)
    return said


def test_a_crash_while_a_key_is_looked_up_does_not_log_it(app, workspace, monkeypatch, caplog):
    def crash(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr("app.auth.credentials.live_key", crash)
    answer = keyed_client(app, workspace.read_key).get(f"{SELDON}/pipeline/subscriptions")

    assert answer.status_code == 500
    assert "RuntimeError" in caplog.text
    assert workspace.read_key not in caplog.text + answer.text


def test_an_access_token_only_names_its_key(app, workspace):
    made = app.test_client().post(
        "/api/v1/auth/refresh", json={"refresh_token": workspace.admin_key}
    )
    assert workspace.name not in made.text
    assert workspace.admin_key not in made.text


# --- what the day of last use costs ---------------------------------------------------------


@pytest.fixture
def last_use(database, workspace):
    """The days that the keys of this test's workspace were last used on."""

    def ask():
        with database.reading() as conn:
            days = conn.execute(
                text("SELECT role, last_used_on FROM api_key WHERE workspace_id = :id"),
                {"id": workspace.id},
            )
            return {row.role: row.last_used_on for row in days}

    return ask


def test_the_day_of_the_last_use_is_kept(app, database, workspace, last_use):
    list_ = f"{SELDON}/pipeline/subscriptions"
    assert set(last_use().values()) == {None}

    for _ in range(3):
        assert keyed_client(app, workspace.read_key).get(list_).status_code == 200
    with database.reading() as conn:
        today = conn.execute(text("SELECT current_date")).scalar()
    assert last_use() == {"read": today, "ingest": None, "admin": None}


def test_a_busy_row_keeps_no_request_waiting(app, database, workspace, last_use):
    with database.writing() as conn:
        conn.execute(
            text("SELECT 1 FROM api_key WHERE workspace_id = :id FOR UPDATE"), {"id": workspace.id}
        )
        answer = keyed_client(app, workspace.read_key).get(f"{SELDON}/pipeline/subscriptions")

    assert answer.status_code == 200
    assert set(last_use().values()) == {None}
