"""Every route and every panel has a budget: the most statements that a warm request may send.

BEGIN, COMMIT, ROLLBACK and SET are not counted; the look-up of a key is. Warm is a request like
one that was answered before: names, labels and executions are remembered by then.
A new route needs a row in BUDGETS, and one in REQUESTS unless test_every_route has its question; a
new panel needs a row in PANEL_BUDGETS.
"""

from urllib.parse import urlencode

import pytest
from sqlalchemy import text

from app.store.database import driver, prepared
from app.web.pages import PAGES, PANELS
from tests.api.events_given import send as send_event
from tests.api.given import (
    LIST,
    MODEL,
    SELDON,
    SINGLE,
    START,
    append,
    categorical,
    feed_back,
    index,
    predict,
    prediction,
    record,
    subscribe,
    subscribed,
    tell,
    truth,
    unsubscribe,
    verdict,
)
from tests.api.h2o_given import DAY, H2O, given_deployed
from tests.api.roboflow_given import inference, post
from tests.api.test_every_route import (
    MONITOR,
    NAMED,
    NATIVE_DAY,
    ORDERS,
    QUESTIONS,
    RECEIVER,
    TOKENS,
    given_something,
    path_of,
    routes,
)

METRICS = f"{H2O}/<path:deployment_id>/metrics"
EXPORT = "/model-monitoring/ai.h2o.mlops.monitoring.api.ModelMonitoringService/ExportMetric"
LAYOUT, DEPENDENCIES = "/web/_dash-layout", "/web/_dash-dependencies"
# A file that is not there.
ABSENT = {("GET", "/web/_dash-component-suites/<string:package>/<path:file>")}
STEP_PARAMETERS = {"name", "startTime", "endTime", "interval", "timeZone"}
# Calls before the one that is counted: plans are kept, and names are remembered.
WARM = 2
BUDGETS = {
    # in
    ("POST", "/api/v1/predictions"): 5,
    ("POST", "/api/v1/feedback"): 4,
    ("PUT", "/api/v1/executions/<name:execution_id>"): 3,
    ("PUT", f"{SINGLE}/<name:name>"): 2,
    ("POST", f"{LIST}/<name:name>"): 2,
    ("POST", f"{SELDON}/pipeline/model/subscribe"): 2,
    ("DELETE", f"{SELDON}/pipeline/model/unsubscribe"): 2,
    ("POST", f"{SELDON}/pipeline/model/feedback"): 6,
    ("POST", "/inference-stats"): 4,
    ("POST", "/<string:workspace>/inference-stats"): 5,
    ("POST", "/<string:workspace>/inference-stats/metadata"): 3,
    ("POST", "/"): 12,
    # metrics
    ("GET", "/api/v1/metrics/classification"): 4,
    ("GET", "/api/v1/metrics/regression"): 4,
    ("GET", "/api/v1/metrics/scores"): 4,
    ("GET", "/api/v1/metrics/corrected-accuracy"): 4,
    ("GET", "/api/v1/metrics/score-curves"): 6,
    ("PUT", "/api/v1/models/positive-class"): 2,
    ("GET", "/api/v1/metrics/compare"): 6,
    ("GET", "/api/v1/metrics/drift"): 6,
    ("GET", "/api/v1/metrics/changes"): 6,
    ("GET", "/api/v1/inference-stats"): 5,
    ("GET", "/api/v1/models"): 4,
    ("GET", "/api/v1/metrics/label-delay"): 5,
    ("GET", "/api/v1/requests"): 3,
    ("GET", "/api/v1/requests/<name:request_id>"): 5,
    # of one block: more need two statements each, and a third that retention is asked by
    ("GET", "/api/v1/export/predictions"): 8,
    ("GET", "/api/v1/export/outcomes"): 8,
    ("GET", "/api/v1/metrics/steps"): 3,
    ("GET", "/api/v1/metrics/steps/executions"): 4,
    ("GET", "/api/v1/metrics/steps/values"): 3,
    ("GET", f"{SELDON}/metrics/pipeline/classification"): 4,
    ("GET", f"{SELDON}/metrics/pipeline/regression"): 4,
    ("GET", f"{METRICS}/<path:model_id>/health"): 4,
    ("GET", f"{METRICS}//health"): 4,
    ("GET", f"{METRICS}/<path:model_id>/operational"): 4,
    ("GET", f"{METRICS}//operational"): 4,
    ("GET", f"{METRICS}/<path:model_id>/drift"): 2,
    ("GET", f"{METRICS}//drift"): 2,
    ("POST", EXPORT): 4,
    ("GET", "/<string:workspace>/inference-stats"): 5,
    ("GET", SINGLE): 2,
    ("GET", LIST): 3,
    ("GET", "/v1/metrics"): 2,
    # lists
    ("GET", "/api/v1/executions"): 3,
    ("GET", "/api/v1/executions/<name:execution_id>"): 2,
    ("GET", f"{SELDON}/pipeline/subscriptions"): 2,
    ("GET", H2O): 4,
    ("GET", f"{H2O}/<path:deployment_id>"): 2,
    ("GET", f"{H2O}/<path:deployment_id>/models"): 2,
    # monitors: of a definition that is there, and of one that is not
    ("GET", "/api/v1/monitors"): 3,
    ("GET", "/api/v1/monitors/<string:name>"): 3,
    ("GET", "/api/v1/monitors/<string:name>/history"): 3,
    ("PUT", "/api/v1/monitors/<string:name>"): 7,  # and three if alerts end
    ("DELETE", "/api/v1/monitors/<string:name>"): 4,
    ("POST", "/api/v1/monitors/<string:name>/test"): 4,  # and one per receiver
    ("GET", "/api/v1/receivers"): 2,
    ("GET", "/api/v1/receivers/<string:name>"): 2,
    ("PUT", "/api/v1/receivers/<string:name>"): 3,
    ("DELETE", "/api/v1/receivers/<string:name>"): 2,
    # keys and sessions
    ("POST", "/api/v1/auth/refresh"): 2,
    ("POST", f"{TOKENS}/protocol/openid-connect/token"): 7,
    ("POST", f"{TOKENS}/protocol/openid-connect/revoke"): 1,
    ("GET", f"{TOKENS}/.well-known/openid-configuration"): 0,
    ("GET", "/login"): 0,
    ("POST", "/login"): 6,
    ("POST", "/logout"): 0,
    # pages: their panels have budgets of their own
    **{("GET", path): 1 for path in PAGES},
    ("POST", "/monitors"): 11,
    ("GET", "/export/<string:panel>.csv"): 4,
    ("POST", "/web/_dash-update-component"): 4,
    ("GET", LAYOUT): 1,
    ("GET", DEPENDENCIES): 1,
    ("GET", "/web/_dash-component-suites/<string:package>/<path:file>"): 0,
    ("GET", "/web/assets/<path:file>"): 0,
    # operations
    ("GET", "/livez"): 0,
    ("GET", "/readyz"): 9,
    ("GET", "/metrics"): 2,
    **{("GET", path): 0 for path in ("/protocol", "/openapi.json", "/problems")},
    **{("GET", f"/docs/{path}"): 0 for path in ("", "start.js", "assets/<path:name>")},
}
PANEL_BUDGETS = {
    "models": 4,
    "firing": 4,
    "monitors": 4,
    "receivers": 3,
    "monitor": 4,
    "states": 6,
    "verdicts": 6,
    "undelivered": 5,
    "new-monitor": 10,
    # of a model's page: a statement for each of both windows
    "summary": 10,  # and of the intervals and the comparison
    "quality": 8,  # and the limits of monitors
    "bucket": 7,
    "volume": 5,
    "latency": 9,  # and the limits of monitors
    "stats": 5,
    "confidence": 5,
    "values": 6,
    "scores": 15,
    "slices": 4,
    "versions": 6,
    "late-truths": 13,
    "score-curves": 11,
    # two windows side by side: a statement for each quantity
    "windows": 4,
    "changes": 5,
    "drift": 8,
    "requests": 4,
    "request": 6,
    "scalars": 7,
    "trend": 7,
    "curves": 8,
    "state": 15,
    "levels": 15,
    "retention": 15,
}


class Visitor:
    """Sends a good request to each route."""

    def __init__(self, client, page, workspace):
        self.client, self.page, self.workspace = client, page, workspace
        self.number = 0

    def prepared(self, method, rule):
        """A call that sends one request, after a preparation that isn't counted."""
        self.number += 1
        if make := REQUESTS.get((method, rule)):
            return make(self)
        path = path_of(rule, self.workspace.name)
        if path in ORDERS:
            return lambda: self.client.open(path, method=method, json=ORDERS[path])
        question = QUESTIONS.get(path_of(rule), QUESTIONS.get(rule, {}))
        return lambda: self.client.open(path, method=method, query_string=question)

    def id(self):
        """A name that no request had yet."""
        return f"n{self.number}"

    def own(self, path):
        return f"/{self.workspace.name}{path}"

    def key(self):
        return self.workspace.admin_key

    def subscribed_anew(self):
        """The id of an existing subscription, which replaces an earlier one."""
        for one in self.client.get(f"{SELDON}/pipeline/subscriptions").json["subscriptions"]:
            unsubscribe(self.client, one["subscriptionId"])
        return subscribed(self.client, categorical("a", "b"))

    def unsubscribed(self):
        unsubscribe(self.client, self.subscribed_anew())


def prepared_subscribe(visitor):
    visitor.unsubscribed()
    return lambda: subscribe(visitor.client, categorical("a", "b"))


def prepared_unsubscribe(visitor):
    id_ = visitor.subscribed_anew()
    return lambda: unsubscribe(visitor.client, id_)


def prepared_feedback(visitor):
    visitor.subscribed_anew()
    return lambda: feed_back(visitor.client, f"{START.isoformat()}-0", index(0))


def prepared_exchange(end):
    """Tokens are exchanged, or given back, as the H2O client does."""
    path = path_of(f"{TOKENS}/protocol/openid-connect/{end}")

    def prepared(visitor):
        form = {"grant_type": "refresh_token", "refresh_token": visitor.key()}
        refresh = visitor.client.post(path_of(f"{TOKENS}/protocol/openid-connect/token"), data=form)
        token = refresh.json["refresh_token"]
        form = form | {"refresh_token": token, "token": token}
        return lambda: visitor.client.post(path, data=form)

    return prepared


def prepared_deletion(kind, body):
    """Of a monitor or receiver that nothing else needs."""

    def prepared(visitor):
        path = f"/api/v1/{kind}/{visitor.id()}"
        assert visitor.client.put(path, json=body).status_code == 200
        return lambda: visitor.client.delete(path)

    return prepared


def prepared_test(visitor):
    """Of a monitor without receivers: those are on the network."""
    path = f"/api/v1/monitors/{visitor.id()}"
    assert visitor.client.put(path, json=MONITOR | {"notify": []}).status_code == 200
    return lambda: visitor.client.post(f"{path}/test")


FORM = {"metric": "accuracy", "with": "value", "value": "0.9", "is": "below", "by": "value"}
FORM |= {"window": "1h", "severity": "warning", "n": "30", "notify": NAMED}
PANEL = "models"


def update(page, panel, search):
    """What the script of a page posts for a panel."""
    id_ = {"panel": panel}
    return {
        "output": '{"panel":["MATCH"]}.children',
        "outputs": {"id": id_, "property": "children"},
        "inputs": [{"id": id_, "property": "data-wanted", "value": search}],
        "state": [
            {"id": "url", "property": "pathname", "value": page},
            {"id": id_, "property": "id", "value": id_},
        ],
        "changedPropIds": [f'{{"panel":"{panel}"}}.data-wanted'],
    }


FIELDS = {"data": [{"inference_ids": ["i"], "field_name": "f", "field_value": "v"}]}


def visits(path, method="get", **request):
    """A request of a page, with a session."""
    return lambda v: lambda: getattr(v.page, method)(path, **request)


REQUESTS = {
    ("POST", "/api/v1/predictions"): lambda v: (
        lambda: predict(v.client, prediction(requestId=v.id(), label="a"))
    ),
    ("POST", "/api/v1/feedback"): lambda v: (
        lambda: tell(v.client, truth(f"{START.isoformat()}-0", label="a"))
    ),
    ("PUT", "/api/v1/executions/<name:execution_id>"): lambda v: (
        lambda: v.client.put(f"/api/v1/executions/{NAMED}", json={"pipeline": "p"})
    ),
    ("PUT", "/api/v1/models/positive-class"): lambda v: (
        lambda: v.client.put(
            "/api/v1/models/positive-class", query_string=MODEL, json={"positiveClass": "a"}
        )
    ),
    ("POST", f"{SELDON}/pipeline/model/subscribe"): prepared_subscribe,
    ("DELETE", f"{SELDON}/pipeline/model/unsubscribe"): prepared_unsubscribe,
    ("POST", f"{SELDON}/pipeline/model/feedback"): prepared_feedback,
    ("POST", "/inference-stats"): lambda v: lambda: post(v.client, inference("m/1", ("a", 0.5))),
    ("POST", "/<string:workspace>/inference-stats"): lambda v: (
        lambda: post(v.client, inference("m/1", ("a", 0.5)), to=v.own("/inference-stats"))
    ),
    ("POST", "/<string:workspace>/inference-stats/metadata"): lambda v: (
        lambda: v.client.post(v.own("/inference-stats/metadata"), json=FIELDS)
    ),
    ("PUT", "/api/v1/monitors/<string:name>"): lambda v: (
        lambda: v.client.put(f"/api/v1/monitors/{NAMED}", json=MONITOR)
    ),
    ("PUT", "/api/v1/receivers/<string:name>"): lambda v: (
        lambda: v.client.put(f"/api/v1/receivers/{NAMED}", json=RECEIVER)
    ),
    ("DELETE", "/api/v1/monitors/<string:name>"): prepared_deletion("monitors", MONITOR),
    ("POST", "/api/v1/monitors/<string:name>/test"): prepared_test,
    ("DELETE", "/api/v1/receivers/<string:name>"): prepared_deletion("receivers", RECEIVER),
    ("POST", "/api/v1/auth/refresh"): lambda v: (
        lambda: v.client.post("/api/v1/auth/refresh", json={"refresh_token": v.key()})
    ),
    ("PUT", f"{SINGLE}/<name:name>"): lambda v: lambda: record(v.client, NAMED, 0.5),
    ("POST", f"{LIST}/<name:name>"): lambda v: lambda: append(v.client, NAMED, [0.5]),
    ("POST", f"{TOKENS}/protocol/openid-connect/token"): prepared_exchange("token"),
    ("POST", f"{TOKENS}/protocol/openid-connect/revoke"): prepared_exchange("revoke"),
    ("POST", "/"): lambda v: lambda: send_event(v.client, id_=v.id()),
    ("POST", "/monitors"): lambda v: (
        lambda: v.page.post("/monitors", data=MODEL | FORM | {"name": v.id()})
    ),
    ("POST", "/login"): lambda v: lambda: v.page.post("/login", data={"key": v.key()}),
    ("GET", "/docs/assets/<path:name>"): visits("/docs/assets/swagger-ui.css"),
    ("GET", "/web/assets/<path:file>"): visits("/web/assets/icon.svg"),
    ("GET", "/export/<string:panel>.csv"): visits(f"/export/{PANEL}.csv"),
    ("POST", "/web/_dash-update-component"): visits(
        "/web/_dash-update-component", "post", json=update("/", PANEL, "?range=1y")
    ),
    **{
        ("GET", path): visits(path)
        for path in (
            "/",
            "/model",
            "/drift",
            "/executions",
            "/monitors",
            "/monitor",
            "/new-monitor",
            "/status",
            "/login",
            LAYOUT,
            DEPENDENCIES,
        )
    },
}


@pytest.fixture
def visitor(app, client, workspace):
    """A user with a key and a session, in a workspace with data."""
    given_something(client)
    page = app.test_client()
    assert page.post("/login", data={"key": workspace.admin_key}).status_code == 303
    return Visitor(client, page, workspace)


def test_statements_are_counted_whichever_way_they_are_sent(database, query_recorder):
    with database.reading() as conn:
        conn.execute(text("SELECT 1"))
        prepared(conn, b"SELECT 2", {})
        driver(conn).execute("SET LOCAL jit = off")
    with database.glancing() as conn:
        conn.execute("SELECT 3")
    with database.writing() as conn:
        conn.execute(text("SELECT :n"), [{"n": 4}])

    assert query_recorder.statements == ["SELECT 1", "SELECT 2", "SELECT 3", "SELECT %(n)s"]


def test_every_route_has_a_budget_and_no_other(app):
    assert set(BUDGETS) == set(routes(app))


def test_no_request_sends_more_than_its_budget(app, visitor, query_recorder):
    sent = {}
    for route in routes(app):
        for _ in range(WARM + 1):
            call = visitor.prepared(*route)
            query_recorder.clear()
            with call() as answer:
                assert answer.status_code < 400 or route in ABSENT, (route, answer.text)
        sent[route] = list(query_recorder.statements)

    over = {route: sent[route] for route in sent if len(sent[route]) > BUDGETS.get(route, 0)}
    assert over == {}


EXPLAINED = MODEL | NATIVE_DAY | {"interval": "1d", "timeZone": "Asia/Tokyo", "explain": "true"}


@pytest.mark.parametrize(
    ("path", "question"),
    [
        ("/api/v1/metrics/classification", EXPLAINED | {"asOf": "2025-03-01T00:00:00Z"}),
        ("/api/v1/metrics/classification", EXPLAINED | {"explain": "false", "confidence": "0.9"}),
        (
            "/api/v1/metrics/regression",
            EXPLAINED | {"explain": "false", "confidence": "0.9", "model": "price"},
        ),
        ("/api/v1/metrics/steps", EXPLAINED | {"name": NAMED}),
        (f"{H2O}/{NAMED}-values/metrics/x/health", DAY),
    ],
)
def test_the_costliest_question_takes_five(visitor, query_recorder, path, question):
    """A calendar, a moment, the pieces; of a regressor the distribution of its values."""
    given_deployed(visitor.client, {"value": 1.5}, deployment=f"{NAMED}-values", model="price")
    members = {n: v for n, v in question.items() if "steps" not in path or n in STEP_PARAMETERS}
    for _ in range(WARM + 1):
        query_recorder.clear()
        answer = visitor.client.get(path, query_string=members)
        assert answer.status_code == 200, answer.text

    assert len(query_recorder.statements) <= 5


def test_every_panel_has_a_budget_and_no_other():
    assert set(PANEL_BUDGETS) == set(PANELS)


# Of panels that the model of the other requests doesn't have, or only in part.
PANEL_MODELS = {"values": "price"} | dict.fromkeys(
    ("scores", "score-curves", "late-truths"), "scored"
)


def given_scored(client):
    """A model with two classes, and scores of both."""
    name = {"model": "scored"}
    for n, label in enumerate(("no", "yes")):
        scores = {"no": 0.5 - n / 10, "yes": 0.5 + n / 10}
        verdict(predict(client, prediction(requestId=f"s{n}", scores=scores, **name)))
        verdict(tell(client, truth(f"s{n}", label=label, **name)))


def test_no_panel_sends_more_than_its_budget(visitor, query_recorder):
    given_scored(visitor.client)
    sent = {}
    for page in PAGES.values():
        for panel in page.panels:
            model = PANEL_MODELS.get(panel.name, MODEL["model"])
            more = {"model": model, "monitor": NAMED, "watch": "accuracy"}
            search = "?" + urlencode(MODEL | NATIVE_DAY | more)
            body = update(page.path, panel.name, search)
            for _ in range(WARM + 1):
                query_recorder.clear()
                answer = visitor.page.post("/web/_dash-update-component", json=body)
                assert answer.status_code == 200
                assert "refusal" not in answer.text, panel.name
                assert panel.title in answer.text or panel.name not in PANEL_MODELS
            sent[panel.name] = list(query_recorder.statements)
    over = {name: sent[name] for name in sent if len(sent[name]) > PANEL_BUDGETS.get(name, 0)}
    assert over == {}
