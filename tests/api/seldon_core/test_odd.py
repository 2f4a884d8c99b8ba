"""Invalid events: of several events or rows, the valid ones are stored."""

import json
import logging
import re

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import text

from app.ingest import prepared as ingest
from tests.api.events_given import (
    NATIVE,
    REQUEST,
    RESPONSE,
    attributes,
    counted,
    feedback,
    message,
    send,
)
from tests.api.given import predict, verdict
from tests.effort import examples

BATCHED = "application/cloudevents-batch+json"
ROW = [[0.1, 0.9]]
CLASSIFYING = {name: NATIVE[name] for name in ("namespace", "pipeline")} | {"model": "regressor"}
_REQUESTS = text("""
    SELECT p.request_id FROM prediction AS p
    JOIN series ON series.id = p.series_id JOIN model ON model.id = series.model_id
    WHERE model.workspace_id = :id AND p.request_id IS NOT NULL
""")


@pytest.fixture
def requests(database, workspace):
    """Ids of the requests whose predictions are stored."""

    def read():
        with database.reading() as conn:
            return sorted(conn.execute(_REQUESTS, {"id": workspace.id}).scalars())

    return read


@pytest.fixture
def regressor(client):
    """A model that gives values."""
    verdict(predict(client, CLASSIFYING | {"value": 1.5}))


def batch(client, events):
    return client.post("/", data=json.dumps(events), content_type=BATCHED)


def event(id_, data, **given):
    return attributes(id_, **({"requestid": id_} | given)) | {"data": data}


def refused(answer):
    """Numbers of (events, rows) that a response reports as rejected."""
    said = dict(re.findall(r"(\w+)=(\d+)", answer.headers.get("Truthline-Refused", "")))
    return int(said.get("events", 0)), int(said.get("rows", 0))


# --- events of a batch ----------------------------------------------------------------------

GOOD = {
    "response": lambda id_: event(id_, message(ROW), type=RESPONSE),
    "feedback": lambda id_: event(id_, feedback(ROW, [[0, 1]])),
    "two rows": lambda id_: event(id_, message(ROW * 2), type=RESPONSE),
    "failed": lambda id_: event(id_, {"status": {"status": "FAILURE"}}, type=RESPONSE),
}
SILENT = {
    "request": lambda id_: event(id_, message(ROW), type=REQUEST),
    "other": lambda id_: event(id_, {}, type="com.example.other"),
}
ODD = {
    "a number": lambda _: 7,
    "no type": lambda id_: event(id_, message(ROW), type=None),
    "no id": lambda id_: event(None, message(ROW), type=RESPONSE, requestid=id_),
    "another version": lambda id_: event(id_, message(ROW), specversion="2.0"),
    "no truth": lambda id_: event(id_, {"response": message(ROW)}),
    "no answer": lambda id_: event(id_, {}, type=RESPONSE),
    "not JSON": lambda id_: event(id_, "x", type=RESPONSE, datacontenttype="text/plain"),
    "in the future": lambda id_: event(
        id_, message(ROW), type=RESPONSE, time="2999-01-01T00:00:00Z"
    ),
    "a time without offset": lambda id_: event(id_, message(ROW), time="2026-03-01T10:00:00"),
    "NUL in a name": lambda id_: event(id_, message(ROW), type=RESPONSE, namespace="a\0b"),
    "a long name": lambda id_: event(id_, message(ROW), type=RESPONSE, modelid="m" * 201),
    "a long label": lambda id_: event(id_, message([["x" * 201]]), type=RESPONSE),
    "another kind": lambda id_: event(id_, message(ROW), type=RESPONSE, modelid="regressor"),
    "truths of another kind": lambda id_: event(id_, feedback(None, [[0, 1]]), modelid="regressor"),
}


@pytest.fixture(scope="module")
def runs():
    return iter(range(10**6))


@examples(20, thorough=50, suppress_health_check=list(HealthCheck), deadline=None)
@given(parts=st.lists(st.sampled_from([*GOOD, *SILENT, *ODD]), min_size=1, max_size=10))
def test_any_mixture_keeps_the_good_and_counts_the_others(client, regressor, requests, runs, parts):
    run = f"run{next(runs)}"
    made = [({**GOOD, **SILENT, **ODD}[part], f"{run}-{n}") for n, part in enumerate(parts)]
    answer = batch(client, [make(id_) for make, id_ in made])

    odd = sum(part in ODD for part in parts)
    if odd == len(parts):
        assert answer.status_code in (400, 415)
    else:
        assert answer.status_code in (200, 204), answer.text
        assert refused(answer) == (odd, 0)
        replies = [reply["id"] for reply in answer.json] if answer.data else []
        assert replies == [id_ for (_, id_), p in zip(made, parts, strict=True) if p == "feedback"]
    expected = [id_ for (_, id_), part in zip(made, parts, strict=True) if part in GOOD]
    expected += [id_ for (_, id_), part in zip(made, parts, strict=True) if part == "two rows"]
    kept = [id_ for id_ in requests() if id_.startswith(f"{run}-")]
    assert kept == sorted(expected)


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_event_costs_no_other(client, regressor, requests, odd):
    good = [GOOD["response"](f"g{n:02}") for n in range(20)]
    answer = batch(client, [*good[:7], ODD[odd]("odd"), *good[7:]])

    assert (answer.status_code, refused(answer)) == (204, (1, 0))
    assert requests() == [f"g{n:02}" for n in range(20)]


def test_of_invalid_events_only_the_first_few_are_reported(client):
    answer = batch(client, [ODD["no truth"](str(n)) for n in range(7)])

    assert answer.status_code == 400
    assert answer.json["detail"].startswith("event 0 of the batch: truth is required; event 1")
    assert answer.json["detail"].endswith("; and 2 more")


def test_also_where_a_models_kind_is_set_concurrently(client, monkeypatch, requests):
    """Another writer stores first, after the model's kind was read."""
    place, once = ingest._series_names, iter([None])

    def settle_first(*arguments, **more):
        if next(once, once) is None:
            verdict(predict(client, CLASSIFYING | {"value": 1.5}))
        return place(*arguments, **more)

    monkeypatch.setattr(ingest, "_series_names", settle_first)
    answer = batch(client, [ODD["another kind"]("odd"), GOOD["response"]("good")])

    assert (answer.status_code, refused(answer)) == (204, (1, 0))
    assert requests() == ["good"]


# --- rows of an event -----------------------------------------------------------------------

ODD_ROWS = {
    "a long label": ([["a"], ["x" * 201], ["b"]], ["CLASS_a", "CLASS_b"]),
    "NUL": ([["a"], ["a\0"], ["b"]], ["CLASS_a", "CLASS_b"]),
    "null for a label": ([[1], [None], [2.5]], ["CLASS_1", "CLASS_2.5"]),
    "null in a vector": ([[0.1, 0.9], [None, 0.5], [0.9, 0.1]], ["CLASS_1", "CLASS_0"]),
    "beyond any quantity": ([[1], [10**101], [2]], ["CLASS_1", "CLASS_2"]),
}


@pytest.mark.parametrize("shape", ODD_ROWS)
@pytest.mark.parametrize("kind", ["response", "feedback", "truth"])
def test_an_odd_row_costs_no_other(client, outputs, shape, kind):
    array, classes = ODD_ROWS[shape]
    truth = [row if row in (array[0], array[2]) else array[0] for row in array]
    if kind == "response":
        answer = send(client, message(array), type=RESPONSE)
    elif kind == "feedback":
        answer = send(client, feedback(array, truth))
    else:
        send(client, message(truth), "0", type=RESPONSE)
        answer = send(client, feedback(None, array))

    assert answer.status_code in (200, 204), answer.text
    assert refused(answer) == (0, 1)
    expected = [classes[0], classes[0], classes[1]] if kind == "truth" else classes
    assert [output[0] for output in outputs()] == expected
    if kind != "response":
        (bucket,) = client.get("/api/v1/metrics/classification", query_string=NATIVE).json[
            "buckets"
        ]
        assert (bucket["n"], bucket["accuracy"]) == (2, 1)


def test_without_its_first_row_an_event_is_not_counted_as_right_or_wrong(client, outputs):
    answer = send(client, feedback([[None, 0.5], [0.1, 0.9]], [[1, 0], [0, 1]]))

    assert (answer.status_code, refused(answer)) == (200, (0, 1))
    assert counted(client) == {}
    assert [output[0] for output in outputs()] == ["CLASS_1"]


# --- what is reported ---------------------------------------------------------------------


def told(app, line):
    page = app.test_client().get("/metrics").text
    match = re.search(rf"^{re.escape(line)} (\S+)$", page, re.MULTILINE)
    return float(match[1]) if match else 0


def test_what_is_refused_is_counted_and_logged(app, client, caplog):
    caplog.set_level(logging.WARNING)
    events = 'truthline_events_total{verdict="refused"}'
    rows = 'truthline_ingested_rows_total{kind="events",verdict="refused"}'
    before = told(app, events), told(app, rows)
    odd_rows = event("1", message([["a"], ["x" * 300]]), type=RESPONSE)
    answer = batch(client, [odd_rows, ODD["no truth"]("2"), ODD["no answer"]("3")])
    send(client, {"truth": {}}, "4")

    assert answer.headers["Truthline-Refused"] == "events=2, rows=1"
    assert (told(app, events), told(app, rows)) == (before[0] + 3, before[1] + 1)
    lines = [record.message for record in caplog.records]
    assert lines == [
        (
            "2 of 3 events can't be stored: event 1 of the batch: truth is required; "
            "event 2 of the batch: response must have data, predictions or outputs"
        ),
        (
            "rows of events can't be stored, 1: "
            "row 1 of response: a label must have at most 194 characters"
        ),
        "1 of 1 events can't be stored: truth must have data, predictions or outputs",
    ]


def test_without_rejections_nothing_is_reported(client, caplog):
    caplog.set_level(logging.WARNING)
    answer = batch(client, [make(name) for name, make in GOOD.items()])

    assert answer.status_code == 200
    assert "Truthline-Refused" not in answer.headers
    assert caplog.records == []
