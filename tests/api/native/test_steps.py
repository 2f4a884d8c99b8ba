"""Executions, and native reads of their step metrics: values worked out by hand, and refusals."""

import math
from datetime import timedelta

import pytest

from tests.api.given import append, now_of, record, recorded

STEPS = "/api/v1/metrics/steps"
EXECUTIONS = "/api/v1/executions"
LARGEST = 1.7976931348623157e308


def answered(answer):
    assert answer.status_code == 200, answer.text
    return answer.json


def refused(answer, status):
    """The detail of a problem."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    return answer.json["detail"]


@pytest.fixture
def window(database):
    """Bounds of an hour from now on, by the database's clock."""
    start = now_of(database)
    return {"startTime": start.isoformat(), "endTime": (start + timedelta(hours=1)).isoformat()}


def told(client, execution, **body):
    return answered(client.put(f"{EXECUTIONS}/{execution}", json=body))


# --- executions -----------------------------------------------------------------------------


def test_an_execution_first_seen_in_a_metric_is_made(client):
    recorded(record(client, "loss", 0.5, execution="run/1"))

    found = answered(client.get(f"{EXECUTIONS}/run/1"))
    assert {name: found[name] for name in ("execution", "pipeline", "deployment")} == {
        "execution": "run/1",
        "pipeline": "",
        "deployment": "",
    }
    assert found["startedAt"] is None
    assert found["createdAt"]


def test_what_is_sent_stays_until_it_is_sent_again(client):
    told(client, "e", pipeline="train", startedAt="2026-03-01T10:00:00Z")
    told(client, "e", deployment="nightly", finishedAt="2026-03-01T11:00:00+01:00")
    found = told(client, "e", pipeline="retrain")

    del found["createdAt"]
    assert found == {
        "execution": "e",
        "pipeline": "retrain",
        "deployment": "nightly",
        "startedAt": "2026-03-01T10:00:00Z",
        "finishedAt": "2026-03-01T10:00:00Z",
    }
    assert answered(client.get(f"{EXECUTIONS}/e"))["pipeline"] == "retrain"


def test_executions_are_listed_in_the_order_they_were_seen(client):
    for number in range(5):
        told(client, f"e{number}", pipeline="even" if number % 2 == 0 else "odd")

    def names(**query):
        found = answered(client.get(EXECUTIONS, query_string=query))
        return [one["execution"] for one in found["executions"]], found["total"]

    assert names() == (["e0", "e1", "e2", "e3", "e4"], 5)
    assert names(pipeline="odd") == (["e1", "e3"], 2)
    assert names(limit=2, offset=1) == (["e1", "e2"], 5)
    assert names(deployment="none") == ([], 0)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"pipeline": 1}, "pipeline must be a text, not a whole number"),
        ({"pipelin": "p"}, "pipelin is not a known field"),
        ({"pipeline": "x" * 201}, "pipeline must have at most 200 characters"),
        ({"deployment": "a\0"}, "a text must not contain the character NUL"),
        (
            {"startedAt": "2026-03-01T10:00:00Z", "finishedAt": "2026-03-01T09:00:00Z"},
            "finishedAt must not be before startedAt",
        ),
        ([], "the body must be an object, not a list"),
    ],
)
def test_an_invalid_update_creates_no_execution(client, body, detail):
    answer = client.put(f"{EXECUTIONS}/e", json=body)

    assert refused(answer, 400) == detail
    assert refused(client.get(f"{EXECUTIONS}/e"), 404) == "no execution e"


# --- over time ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["scalar", "list"])
def test_a_metric_over_time(client, window, kind):
    if kind == "scalar":
        for value in (4, 1, 2.5):
            recorded(record(client, "loss", value))
    else:
        recorded(append(client, "loss", [4, 1]))
        recorded(append(client, "loss", [2.5]))

    query = {"name": "loss", "kind": kind, "interval": "30m"} | window
    first, second = answered(client.get(STEPS, query_string=query))["buckets"]

    del first["startTime"], first["endTime"]
    assert first == {"n": 3, "mean": 2.5, "min": 1, "max": 4, "last": 2.5}
    assert (second["n"], second["mean"], second["last"]) == (0, None, None)


def test_values_count_in_the_bucket_in_which_they_were_recorded(client, database):
    recorded(record(client, "loss", 1))
    between = now_of(database)
    recorded(record(client, "loss", 3))
    hour = timedelta(hours=1)
    query = {
        "name": "loss",
        "startTime": (between - hour).isoformat(),
        "endTime": (between + hour).isoformat(),
        "interval": "1h",
    }

    buckets = answered(client.get(STEPS, query_string=query))["buckets"]

    assert [(bucket["n"], bucket["last"]) for bucket in buckets] == [(1, 1), (1, 3)]


def test_over_time_of_a_part(client, window):
    told(client, "a", pipeline="p", deployment="d")
    told(client, "b", pipeline="p")
    for execution, value in (("a", 1), ("b", 2), ("c", 3)):
        recorded(record(client, "loss", value, execution=execution))

    def mean(**part):
        query = {"name": "loss"} | part | window
        [bucket] = answered(client.get(STEPS, query_string=query))["buckets"]
        return bucket["mean"]

    assert (mean(), mean(pipeline="p"), mean(deployment="d")) == (2, 1.5, 1)
    assert (mean(execution="c"), mean(pipeline="p", execution="b")) == (3, 2)


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ([LARGEST, LARGEST, LARGEST], LARGEST),
        ([LARGEST, -LARGEST, 3], 1),
        ([1e300, 1e300], 1e300),
        ([1e200, 3e200], 2e200),
        ([5e-324, 5e-324], 5e-324),
        ([5e-324, 0], 0),
        ([-1e-290, 3e-290], 0),
        ([0.1] * 10, 0.1),
    ],
)
def test_means_of_extreme_values(client, window, values, mean):
    recorded(append(client, "loss", values))

    query = {"name": "loss", "kind": "list"} | window
    [bucket] = answered(client.get(STEPS, query_string=query))["buckets"]

    assert math.isclose(bucket["mean"], mean, rel_tol=1e-14, abs_tol=1e-280)
    assert bucket["min"] <= bucket["mean"] <= bucket["max"]


# --- over executions ------------------------------------------------------------------------


def test_a_metric_over_executions(client):
    told(client, "a", pipeline="p", deployment="d")
    for execution, values in (("a", [4, 2]), ("b", [1])):
        for value in values:
            recorded(record(client, "loss", value, execution=execution))
    recorded(record(client, "other", 9, execution="c"))

    found = answered(client.get(f"{STEPS}/executions", query_string={"name": "loss"}))

    rows = [{k: v for k, v in row.items() if "RecordedAt" not in k} for row in found["executions"]]
    summary = {"n": 2, "mean": 3, "min": 2, "max": 4, "last": 2}
    assert rows == [
        {"execution": "a", "pipeline": "p", "deployment": "d"} | summary,
        {"execution": "b", "pipeline": "", "deployment": ""}
        | {"n": 1, "mean": 1, "min": 1, "max": 1, "last": 1},
    ]
    assert found["total"] == 2


def test_over_executions_as_of_a_moment(client, database):
    recorded(record(client, "loss", 4, execution="a"))
    then = now_of(database)
    recorded(record(client, "loss", 2, execution="a"))
    recorded(record(client, "loss", 1, execution="b"))

    query = {"name": "loss", "asOf": then.isoformat()}
    found = answered(client.get(f"{STEPS}/executions", query_string=query))

    assert [(row["execution"], row["n"], row["last"]) for row in found["executions"]] == [
        ("a", 1, 4)
    ]
    assert found["total"] == 1


def test_over_executions_comes_in_parts(client):
    for number in range(5):
        recorded(record(client, "loss", number, execution=f"e{number}"))

    query = {"name": "loss", "limit": 2, "offset": 3}
    found = answered(client.get(f"{STEPS}/executions", query_string=query))

    assert [row["execution"] for row in found["executions"]] == ["e3", "e4"]
    assert found["total"] == 5


# --- value by value -------------------------------------------------------------------------


def test_slices_of_a_list(client):
    for batch in ([0, 1, 2], [3], [4, 5, 6, 7]):
        recorded(append(client, "loss", batch))

    def slice_of(offset, limit):
        query = {"name": "loss", "execution": "x", "offset": offset, "limit": limit}
        found = answered(client.get(f"{STEPS}/values", query_string=query))
        assert found["total"] == 8
        assert found["recordedAt"] == sorted(found["recordedAt"])
        assert len(found["recordedAt"]) == len(found["values"])
        return found["values"]

    for offset in range(10):
        for limit in (1, 2, 5, 50_000):
            assert slice_of(offset, limit) == list(range(8))[offset : offset + limit]


def test_the_history_of_a_scalar(client):
    for value in (3, 1, 2):
        recorded(record(client, "loss", value))

    query = {"name": "loss", "execution": "x", "kind": "scalar", "offset": 1}
    found = answered(client.get(f"{STEPS}/values", query_string=query))

    assert (found["values"], found["total"]) == ([1, 2], 3)


# --- refusals -------------------------------------------------------------------------------


def test_what_was_never_recorded_is_not_found(client, window):
    recorded(record(client, "loss", 1))
    of_x = {"name": "loss", "execution": "x"}

    for path, query, detail in [
        ("", {"name": "los"} | window, "no scalar los"),
        ("", {"name": "loss", "kind": "list"} | window, "no list loss"),
        ("", {"name": "loss", "pipeline": "p"} | window, "no scalar loss, pipeline p"),
        ("/executions", {"name": "los"}, "no scalar los"),
        ("/values", of_x, "no list loss, execution x"),
        ("/values", of_x | {"execution": "y", "kind": "scalar"}, "no scalar loss, execution y"),
    ]:
        assert refused(client.get(STEPS + path, query_string=query), 404) == detail


@pytest.mark.parametrize(
    ("path", "query", "detail"),
    [
        ("", {}, "name is required"),
        ("", {"name": "x", "kind": "both"}, "kind must be one of: scalar, list"),
        ("", {"name": ""}, "name must not be empty"),
        ("", {"name": "x", "nam": "x"}, "nam is not a parameter"),
        ("/values", {"name": "x"}, "execution is required"),
        ("/values", {"name": "x", "execution": "x", "offset": -1}, "offset must be greater"),
        ("/executions", {"name": "x", "limit": 1001}, "limit must be greater"),
    ],
)
def test_refused_parameters_are_named(client, window, path, query, detail):
    query = query if path else window | query
    assert detail in refused(client.get(STEPS + path, query_string=query), 422)


def test_the_future_is_not_known(client, database):
    recorded(record(client, "loss", 1))
    later = (now_of(database) + timedelta(hours=1)).isoformat()

    answer = client.get(f"{STEPS}/executions", query_string={"name": "loss", "asOf": later})

    assert refused(answer, 400) == "asOf must not be in the future"
