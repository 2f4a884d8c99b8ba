"""Exports, against what was sent, and against the same rows loaded elsewhere."""

import csv
import io
import json
import tracemalloc
from datetime import datetime, timedelta
from random import Random

import pyarrow as pa
import pytest
from pyarrow import parquet
from sqlalchemy import text

from app.api.http import columnar
from app.api.http.columns import ARROW, CSV, NDJSON, PARQUET
from app.query import export as export_module
from tests.api.given import MODEL, START, predict, prediction, tell, verdict
from tests.api.requests_given import EVERYTHING, given_requests, learn, meets, some_predictions
from tests.ingest.bulk.told import stored

PREDICTIONS, OUTCOMES = "/api/v1/export/predictions", "/api/v1/export/outcomes"
LOADED = {PREDICTIONS: "/api/v1/predictions", OUTCOMES: "/api/v1/feedback"}
TYPES = {"ndjson": NDJSON, "csv": CSV, "parquet": PARQUET, "arrow": ARROW}
OF_TRUTHS = {
    name: query for name, query in EVERYTHING.items() if not {"unlabelled", "failed"} & set(query)
}


@pytest.fixture
def sent(client):
    """What is exported."""
    return given_requests(client)


@pytest.fixture
def small_blocks(monkeypatch):
    """An export of many blocks."""
    monkeypatch.setattr(export_module, "BLOCK_ROWS", 20)


def exported(client, path=PREDICTIONS, status=200, **query):
    answer = client.get(path, query_string=query, buffered=True)
    assert answer.status_code == status, answer.text
    return answer


def lines(answer):
    return [json.loads(line) for line in answer.text.splitlines()]


def listed(client, path=PREDICTIONS, **query):
    return lines(exported(client, path, **MODEL | query))


def table(answer):
    """The rows of an answer of any other type, as NDJSON has them, but all of their tags too."""
    if answer.mimetype == CSV:
        return list(csv.DictReader(io.StringIO(answer.text)))
    if answer.mimetype == ARROW:
        return pa.ipc.open_stream(answer.data).read_all()
    return parquet.read_table(io.BytesIO(answer.data))


def shown(row):
    names = ("requestId", "time", "version", "deployment", "predictedLabel", "confidence")
    return tuple(row[name] for name in (*names, "failed", "actualLabel", "wrong", "corrected"))


def expected(one):
    time = one.time.isoformat().replace("+00:00", "Z")
    names = (one.id, time, one.version, one.deployment, one.label, one.confidence)
    wrong = None if one.truth is None else one.truth != one.label
    return (*names, one.failed, one.truth, wrong, len(one.truths) > 1)


def all_of(sent, query):
    return sorted((expected(one) for one in sent if meets(one, query)), key=repr)


def test_each_filter_exports_what_it_lists(client, sent, small_blocks):
    for name, query in EVERYTHING.items():
        rows = listed(client, **query)
        assert sorted(map(shown, rows), key=repr) == all_of(sent, query), name
        times = [row["time"] for row in rows]
        assert times == sorted(times), name


def test_outcomes_are_what_has_a_truth(client, sent, small_blocks):
    for name, query in OF_TRUTHS.items():
        rows = listed(client, OUTCOMES, **query)
        known = [one for one in sent if one.truth is not None]
        assert sorted(map(shown, rows), key=repr) == all_of(known, query), name


def test_all_formats_have_the_same_rows(client, sent):
    verdict(predict(client, prediction(label="a", tags={"country": "FR", "plan": "pro"})))
    rows = listed(client)

    for name in ("arrow", "parquet"):
        found = table(exported(client, **MODEL, format=name))
        assert found.schema.field("time").type == pa.timestamp("us", "UTC")
        columns = found.to_pylist()
        for row, other in zip(rows, columns, strict=True):
            tags = {f"tag_{key}": row["tags"].get(key) for key in ("country", "plan")}
            times = {key: other.pop(key) for key in ("time", "receivedAt", "learnedAt")}
            assert other == {k: v for k, v in row.items() if k in other} | tags
            for key, time in times.items():
                text = None if time is None else time.isoformat().replace("+00:00", "Z")
                assert row[key] == text
    of_csv = table(exported(client, **MODEL, format="csv"))
    assert len(of_csv) == len(rows)
    for row, cells in zip(rows, of_csv, strict=True):
        assert cells["tag_country"] == row["tags"].get("country", "")
        assert cells["failed"] == str(row["failed"]).lower()
        for name in ("requestId", "version", "predictedLabel", "confidence", "actualLabel"):
            assert cells[name] == ("" if row[name] is None else str(row[name]))


@pytest.mark.parametrize("name", TYPES)
def test_the_format_is_asked_for_in_two_ways(client, sent, name):
    by_name = exported(client, **MODEL, format=name)
    by_header = client.get(
        PREDICTIONS, query_string=MODEL, headers={"Accept": TYPES[name]}, buffered=True
    )

    assert by_name.mimetype == by_header.mimetype == TYPES[name]
    assert f'filename="predictions.{name}"' in by_header.headers["Content-Disposition"]
    assert "Accept" in by_header.headers["Vary"]
    assert exported(client, **MODEL).mimetype == NDJSON


def test_an_export_is_of_one_moment(client, sent, small_blocks):
    """Whatever is stored while it is read; and the moment can be asked for again."""
    random = Random(1)
    before = all_of(sent, {})
    answer = client.get(PREDICTIONS, query_string=MODEL)
    parts = answer.iter_encoded()
    found = [next(parts)]
    for number, part in enumerate(parts):
        found.append(part)
        if number < 5:
            more = some_predictions(random, 5, name=f"more{number}")
            verdict(predict(client, *(one.row() for one in more)))
            learn(client, random, sent, 0.05)
    rows = [json.loads(line) for line in b"".join(found).splitlines()]

    assert len(found) > 5
    assert sorted(map(shown, rows), key=repr) == before
    again = listed(client, asOf=answer.headers["Truthline-As-Of"])
    assert again == rows


def test_increments_add_up(client, database, sent):
    """What was received until a moment, and since."""
    moment = exported(client, **MODEL).headers["Truthline-As-Of"]
    more = some_predictions(Random(2), 20, name="more")
    verdict(predict(client, *(one.row() for one in more)))

    old, new = listed(client, receivedUntil=moment), listed(client, receivedFrom=moment)
    assert sorted(map(shown, old), key=repr) == all_of(sent, {})
    assert sorted(map(shown, new), key=repr) == all_of(more, {})
    learn(client, Random(3), sent, 0.2)
    learned = listed(client, OUTCOMES, receivedFrom=moment)
    assert {row["requestId"] for row in learned} == {
        one.id for one in sent if one.truths and shown_again(client, one, moment)
    }


def shown_again(client, one, moment):
    """Whether a request's history has a truth since then."""
    history = client.get(f"/api/v1/requests/{one.id}", query_string=MODEL).json
    [kept] = [p for p in history["predictions"] if not p["failed"]]
    return datetime.fromisoformat(kept["learnedAt"]) >= datetime.fromisoformat(moment)


def test_a_crowded_instant_is_read_through_a_cursor(client, database, small_blocks):
    rows = [prediction(requestId=f"{n:03}", label="a", confidence=n / 100) for n in range(95)]
    late = prediction(requestId="late", label="b", time=(START + timedelta(days=1)).isoformat())
    verdict(predict(client, *rows, late))

    found = listed(client)
    assert [row["requestId"] for row in found] == [f"{n:03}" for n in range(95)] + ["late"]


def test_models_of_a_workspace(client, sent, neighbour):
    other = MODEL | {"model": "price", "pipeline": "other"}
    verdict(predict(client, prediction(value=1.5, requestId="v") | other))
    verdict(predict(neighbour, prediction(label="theirs")))

    everything = lines(exported(client))
    assert len(everything) == len(sent) + 1
    [price] = [row for row in everything if row["model"] == "price"]
    assert (price["predictedValue"], price["predictedLabel"], price["wrong"]) == (1.5, None, None)
    assert lines(exported(client, pipeline="other")) == [price]
    assert exported(client, namespace="nowhere").data == b""
    assert [row["predictedLabel"] for row in lines(exported(neighbour))] == ["theirs"]


def test_what_cannot_be_exported(client, sent):
    for status, path, query in [
        (404, PREDICTIONS, {"model": "unknown"}),
        (404, PREDICTIONS, MODEL | {"version": "9"}),
        (400, PREDICTIONS, MODEL | {"minError": "1"}),
        (400, PREDICTIONS, MODEL | {"wrong": "true", "unlabelled": "true"}),
        (400, PREDICTIONS, {"asOf": "2999-01-01T00:00:00Z"}),
        (
            400,
            PREDICTIONS,
            {"receivedFrom": "2026-01-01T00:00:00Z", "receivedUntil": "2026-01-01T00:00:00Z"},
        ),
        (422, PREDICTIONS, MODEL | {"format": "xlsx"}),
        (422, PREDICTIONS, MODEL | {"limit": "5"}),
        (422, OUTCOMES, MODEL | {"unlabelled": "true"}),
    ]:
        exported(client, path, status, **query)


def test_an_empty_export_has_its_columns(client):
    assert exported(client).data == b""
    for name in ("arrow", "parquet"):
        found = table(exported(client, format=name))
        assert (found.num_rows, found.schema.names[:2]) == (0, ["model", "namespace"])
    assert exported(client, format="csv").text.startswith("model,namespace,")


def test_no_cell_of_csv_is_a_formula(client):
    verdict(predict(client, prediction(label="=HYPERLINK()", version="-1", requestId="@x")))

    [row] = table(exported(client, format="csv"))
    assert (row["predictedLabel"], row["version"], row["requestId"]) == (
        "'=HYPERLINK()",
        "-1",
        "'@x",
    )


@pytest.mark.parametrize("name", TYPES)
def test_memory_does_not_grow_with_the_number_of_rows(client, monkeypatch, name):
    monkeypatch.setattr(export_module, "BLOCK_ROWS", 100)
    monkeypatch.setattr(columnar, "ROW_GROUP_ROWS", 100)
    rows = [
        prediction(requestId=f"r{n}", label="a", time=(START + timedelta(hours=n)).isoformat())
        for n in range(4_000)
    ]
    verdict(predict(client, *rows))
    tracemalloc.start()
    parts = client.get(PREDICTIONS, query_string=MODEL | {"format": name}).iter_encoded()
    used = [tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes() for _ in parts]
    tracemalloc.stop()

    assert len(used) > 20
    half = len(used) // 2
    # of what 4,000 rows take, which are several megabytes
    assert max(used[half:]) < max(used[:half]) + 200_000


# --- round trips --------------------------------------------------------------------------


def given_all_kinds(client):
    """A classifier with tags, failures and corrections, a regressor, and a detector."""
    random = Random(4)
    sent = given_requests(client)
    tags = [{"country": "FR"}, {"country": "DE", "plan": "pro"}, {}]
    price = MODEL | {"model": "price"}
    verdict(
        predict(
            client,
            *(
                prediction(
                    requestId=f"p{n}",
                    value=random.gauss(0, 5),
                    latencySeconds=n / 8,
                    tags=tags[n % 3],
                )
                | price
                for n in range(50)
            ),
            *(
                prediction(label="b", requestId="many", batchIndex=n, tags=tags[1])
                for n in range(5)
            ),
            prediction(error=True, label="a", confidence=0.25, requestId="failed with an output"),
        )
    )
    truths = [{"requestId": f"p{n}", "value": random.gauss(0, 5)} | price for n in range(40)]
    verdict(tell(client, *truths))
    detector = MODEL | {"model": "cards"}
    found = [
        {"label": "ace", "confidence": 0.5},
        {"label": "king"},
        {"label": "ace", "confidence": 1},
    ]
    verdict(
        predict(
            client,
            *(prediction(requestId=f"d{n}", detections=found[:n]) | detector for n in range(4)),
            *(prediction(detections=found[:n]) | detector for n in (2, 0, 3, 1)),
            prediction(error=True, requestId="d0") | detector,
        )
    )
    return sent


@pytest.mark.parametrize("name", ["ndjson", "parquet", "arrow"])
def test_what_is_loaded_elsewhere_is_the_same(
    client, database, workspace, neighbour, neighbour_id, name, small_blocks
):
    given_all_kinds(client)
    for path, target in LOADED.items():
        body = exported(client, path, loadable="true", format=name).data
        answer = neighbour.post(f"{target}?bulk=true", data=body, content_type=TYPES[name])
        assert answer.json["refused"] == 0, answer.text
        assert answer.json["duplicates"] == 0 or path == OUTCOMES  # of two versions of a request

    mine, theirs = stored(database, workspace.id), stored(database, neighbour_id)
    assert theirs["predictions"] == mine["predictions"]
    assert pairs(theirs["outcomes"]) == pairs(mine["outcomes"])
    assert any(weight < 0 for weight in (row[6] for row in mine["outcomes"]))
    for query in ({}, {"tag": "country:FR"}, {"version": "2"}):
        for kind, model in (
            ("classification", "fraud"),
            ("regression", "price"),
            ("scores", "fraud"),
        ):
            both = [
                metrics(one, kind, MODEL | {"model": model} | query) for one in (client, neighbour)
            ]
            assert both[0] == both[1]


@pytest.fixture
def neighbour_id(database, workspace, neighbour):
    """The id of the neighbour's workspace."""
    with database.reading() as conn:
        name = f"{workspace.name}-neighbour"
        return conn.execute(
            text("SELECT id FROM workspace WHERE name = :n"), {"n": name}
        ).scalar_one()


def pairs(outcomes):
    """Truths that count, of both clocks' ledger."""
    counted = {}
    for row in outcomes:
        key = (*row[:6], *row[7:10])
        counted[key] = counted.get(key, 0) + row[6]
    return {key: weight for key, weight in counted.items() if weight}


def metrics(client, kind, query):
    window = {
        "startTime": "2025-02-25T00:00:00Z",
        "endTime": "2025-02-28T00:00:00Z",
        "interval": "6h",
    }
    answer = client.get(f"/api/v1/metrics/{kind}", query_string=query | window)
    return answer.status_code, answer.json.get("buckets")


def test_csv_is_loaded_too(client, database, workspace, neighbour, neighbour_id):
    given_requests(client)
    for path, target in LOADED.items():
        body = exported(client, path, loadable="true", format="csv").data
        assert neighbour.post(target, data=body, content_type=CSV).json["refused"] == 0

    mine, theirs = stored(database, workspace.id), stored(database, neighbour_id)
    assert theirs["predictions"] == mine["predictions"]
    assert pairs(theirs["outcomes"]) == pairs(mine["outcomes"])


def test_detections_are_loaded_whole(client):
    given_all_kinds(client)
    cards = MODEL | {"model": "cards", "loadable": "true"}

    for query in ({"format": "csv"}, {"predictedLabel": "ace"}, {"minConfidence": "0.5"}):
        assert exported(client, status=400, **cards | query).json["type"].endswith("InvalidInput")
    apart = lines(exported(client, **MODEL | {"model": "cards"}))
    assert len(apart) == 15
    assert [row["predictedLabel"] for row in apart if row["requestId"] == "d3"] == [
        "ace",
        "king",
        "ace",
    ]
