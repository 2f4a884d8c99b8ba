"""Extreme parameters and members, on every route: an error or a result, never a crash.

Routes are those of QUESTIONS, their parameters those of the OpenAPI document: new ones are walked
too.
"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.events_given import send as send_event
from tests.api.given import predict, prediction
from tests.api.roboflow_given import inference, post
from tests.api.test_every_route import ORDERS, QUESTIONS, given_something, path_of
from tests.effort import examples, is_thorough

TIMES = (
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "0001-01-01T00:00:00",
    "0001-01-01 00:00:00",
    "1969-12-31T23:59:59.999999Z",
    "2025-02-25T11:51:22.9999999Z",
    "9999-12-31T23:59:59-01:00",
    "9999-12-31T23:59:59.9999999Z",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31 23:59:59",
    "0000-00-00T00:00:00Z",
    "10000-01-01T00:00:00Z",
)
INTERVALS = (
    *("0s", "-1s", "1ns", "1us", "24h", "87600000h", "2562047h47m16.854775807s", "23999999999h"),
    *("9999999999999999999999999999h", ".0000000001h", "9999d", "9999w", "9999mo", "999y", "1000y"),
)
NUMBERS = (
    *("-1", "0", "1001", "2147483647", "2147483648", "9007199254740992", "9223372036854775808"),
    *("9" * 400, "9" * 5000, "1e3", "1.0", "NaN", "Infinity", "1_0", "\u0663", "-0"),
)
TEXTS = ("", " ", "\0", "x" * 5_000, "\u202e", "%", "';--", ",,,", "=1", "name DESC")
ZONES = ("UTC", "America/New_York", "Pacific/Kiritimati", "Europe/Nowhere")
# Values of a parameter, by what its name ends in; a text otherwise.
KINDS = {
    "time": TIMES,
    "asof": TIMES,
    "bucket": TIMES,
    "interval": INTERVALS,
    "zone": ZONES,
    "align": ("start", "epoch", "end"),
    "limit": NUMBERS,
    "offset": NUMBERS,
    "page": NUMBERS,
    "size": NUMBERS,
    "token": NUMBERS,
}
# Query parameters of a page and of its CSVs.
PAGE = {
    "startTime": "2025-02-25T00:00:00Z",
    "endTime": "2025-02-26T00:00:00Z",
    "interval": "1h",
    "timeZone": "UTC",
    "namespace": "shop",
    "pipeline": "checkout",
    "model": "fraud",
}
PAGE_NAMES = {*PAGE, "asOf", "bucket", "range", "version", "deployment", "execution", "offset"}
PAGE_NAMES |= {"metric", "sort", "q", "average"}
# Texts that `Question.read` reads for each panel. Times are not among them: their windows differ in
# what a panel makes of them.
READ_FOR_PANELS = {"namespace", "pipeline", "model", "version", "deployment", "range"}
READ_FOR_PANELS |= {"timeZone", "interval"}
PANELS = ("models", "quality", "bucket", "volume", "stats", "values", "versions", "scalars")
SERVER_ERROR = 500


def values_of(name):
    kind = name.lower()
    return next((KINDS[end] for end in KINDS if kind.endswith(end)), TEXTS)


def parameters_of(app):
    """Names of the query parameters of each path that is read, by the document."""
    paths = app.test_client().get("/openapi.json").json["paths"]
    return {
        re.sub(r"{\w+}", "x", path): {
            one["name"] for one in item["get"].get("parameters", ()) if one.get("in") == "query"
        }
        for path, item in paths.items()
        if "get" in item
    }


@pytest.fixture
def questions(app, client, workspace):
    """(path, its own query, names of its parameters) of each route that reads."""
    given_something(client)
    client.post("/login", data={"key": workspace.admin_key})
    documented = parameters_of(app)
    found = [
        (path_of(rule, workspace.name), query, documented[path_of(rule)] | query.keys())
        for rule, query in QUESTIONS.items()
    ]
    return found + [(f"/export/{panel}.csv", PAGE, PAGE_NAMES) for panel in PANELS]


def crashed(client, path, query):
    """The question, if the answer was none that a caller can do something about."""
    with client.get(path, query_string=query) as answer:
        failed = answer.status_code >= SERVER_ERROR
        return (path, query, answer.status_code) if failed else None


def without_start(query):
    return {name: text for name, text in query.items() if not name.startswith("start")}


def extremes(query, names):
    """A question with one parameter at an extreme; where that is a time, without a start too."""
    for name in sorted(names):
        for text in values_of(name):
            yield name, query | {name: text}
            if text in TIMES and not name.startswith("start"):
                yield name, without_start(query) | {name: text}


def of_panels(questions):
    """Parameters that all panels share go to one panel in turn, the others to all."""
    for place, (path, query, names) in enumerate(questions):
        for number, (name, changed) in enumerate(extremes(query, names)):
            turn = number % len(questions) == place
            if turn or name not in READ_FOR_PANELS or is_thorough():
                yield path, changed


def test_no_parameter_at_an_extreme_is_a_crash(client, questions):
    panels = [one for one in questions if one[1] is PAGE]
    others = [one for one in questions if one[1] is not PAGE]
    asked = [
        *((path, changed) for path, *one in others for _, changed in extremes(*one)),
        *of_panels(panels),
    ]

    assert len(asked) > 1_000
    assert [found for path, query in asked if (found := crashed(client, path, query))] == []


@examples(8, thorough=20)
@given(data=st.data())
def test_no_parameters_at_their_extremes_are_a_crash_together(client, questions, data):
    for path, query, names in questions:
        some = data.draw(st.sets(st.sampled_from(sorted(names)), max_size=5)) if names else set()
        changed = query | {
            name: data.draw(st.sampled_from(values_of(name)), label=name) for name in sorted(some)
        }
        assert crashed(client, path, changed) is None


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/api/v1/models", {"endTime": TIMES[0]}, 400),
        ("/api/v1/inference-stats", {"endTime": TIMES[0]}, 400),
        ("/model-monitoring/v1/deployment", {"endDateTime": TIMES[0]}, 400),
        (
            "/api/v1/metrics/classification",
            {"interval": "87600000h", "align": "epoch", "startTime": TIMES[0]}
            | {"endTime": "9999-12-31T23:59:59Z", "model": "fraud"},
            400,
        ),
    ],
)
def test_what_the_calendar_does_not_have_is_refused(client, path, query, status):
    assert client.get(path, query_string=query).status_code == status


@pytest.mark.parametrize("time", TIMES)
def test_no_time_in_a_body_is_a_crash(client, time):
    given_something(client)
    execution = "/api/v1/executions/x"
    calls = [
        *(client.put(execution, json={name: time}) for name in ("startedAt", "finishedAt")),
        client.get(execution),
        predict(client, prediction(label="a", time=time)),
        *(client.post(path, json=body | {"startDateTime": time}) for path, body in ORDERS.items()),
        *(client.post(path, json=body | {"endDateTime": time}) for path, body in ORDERS.items()),
        send_event(client, id_=time, time=time),
        client.get("/api/v1/models"),
    ]

    assert [answer.status_code for answer in calls if answer.status_code >= SERVER_ERROR] == []


@pytest.mark.parametrize("seconds", [-1e300, -62135596801, -1, 0, 253402300800, 1e300, 2**63])
def test_no_time_of_a_report_is_a_crash(client, seconds):
    answer = post(client, inference("cards/4", ("a", 0.5), request_time=seconds))

    assert answer.status_code < SERVER_ERROR


def test_an_execution_beyond_the_calendar_of_utc_is_refused(client):
    path = "/api/v1/executions/late"
    refused = client.put(path, json={"finishedAt": "9999-12-31T23:59:59-01:00"})

    assert refused.status_code == 400
    assert "finishedAt is out of range" in refused.json["detail"]
    assert client.get(path).status_code == 404
