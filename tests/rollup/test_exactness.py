"""After retention every answer is either right or marked as not exact, in every dialect.

The oracle is plain Python over the rows as they were before a part of them was dropped: an answer
equals theirs between the edges and up to the moment that it names.
"""

import base64
import csv
import io
import math
import random
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import urlencode

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import text

from app.config import Settings
from app.factory import create_app
from app.ingest.metadata import ingest_metadata
from app.query.overview import overview
from app.query.question import Question
from app.query.subjects import ALL
from app.query.window import Window, fixed_grid
from app.rollup.refresh import refresh
from app.rollup.retention import drop_expired
from app.store.copy import copy_rows
from app.store.database import Database
from app.store.registry import Kind, ModelName
from app.store.series import SeriesName
from app.web.page import render_panel
from app.web.pages import PANELS
from app.web.session import WORKSPACE
from tests.effort import examples

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
KEEP = {"keep_raw_days": 3, "keep_fine_days": 6, "keep_asof_days": 5}
PREDICTION = {
    "received_at": "timestamptz",
    "time": "timestamptz",
    "series_id": "integer",
    "label_id": "integer",
    "value": "float8",
    "confidence": "float8",
    "latency_seconds": "float8",
    "batch_index": "integer",
    "starts_request": "boolean",
    "starts_label": "boolean",
    "failed": "boolean",
    "request_id": "text",
}
OUTCOME = {
    "received_at": "timestamptz",
    "time": "timestamptz",
    "series_id": "integer",
    "predicted_label": "integer",
    "actual_label": "integer",
    "predicted_value": "float8",
    "actual_value": "float8",
    "weight": "smallint",
    "batch_index": "integer",
    "predicted_score": "float8",
}
PETS, PRICE = "pets", "price"
FORM = "%Y-%m-%d %H:%M:%S"  # of Roboflow's times


@dataclass(frozen=True)
class Request:
    """A prediction as it was sent: every fourth of a classifier has a field of metadata."""

    model: str
    received: datetime
    time: datetime
    label: str | None
    number: float | None
    latency: float | None
    failed: bool
    id: str


@dataclass(frozen=True)
class Truth:
    """What was learned of one, and when."""

    model: str
    received: datetime
    time: datetime
    hit: bool


class Old:
    """A service whose rows were dropped in part, and what they were."""

    def __init__(self, database, requests, truths, now):
        self.database, self.requests, self.truths, self.now = database, requests, truths, now
        self.hour = now.replace(minute=0, second=0, microsecond=0)
        self.client = create_app(Settings(auth=False), database).test_client()

    def get(self, path, status=200, **query):
        answer = self.client.get(path, query_string=query)
        assert answer.status_code == status, answer.text
        return answer

    def of(self, model=None, start=None, end=None, known=None):
        """Requests of a span, as they were known at a moment."""
        return [
            one
            for one in self.requests
            if (model is None or one.model == model)
            and (start is None or start <= one.time)
            and (end is None or one.time < end)
            and (known is None or one.received < known)
        ]


def made_requests(now):
    """Eleven days of them; some are learned late, a few before their event time."""
    dice = random.Random(14)
    for number in range(5000):
        received = now - dice.random() * 11 * DAY
        time = received - dice.choice([0, 0, dice.random() ** 4]) * 2 * DAY
        time += (number % 50 == 0) * HOUR
        model = PETS if number % 3 else PRICE
        failed = number % 17 == 0
        latency = None if number % 5 == 0 else dice.randint(1, 4000) / 1024
        label = None if failed or model == PRICE else dice.choice("ab")
        sure = dice.randint(0, 1024) / 1024
        number_said = None if failed else sure if label else dice.randint(-4000, 4000) / 16
        yield Request(model, received, time, label, number_said, latency, failed, f"r{number}")


def made_truths(requests):
    """Of the half of those that were answered, and not before."""
    dice = random.Random(15)
    for number, one in enumerate(requests):
        if not one.failed and number % 2:
            learned = one.received + dice.random() ** 2 * 4 * DAY
            yield Truth(one.model, learned, one.time, dice.random() < 0.7)


@pytest.fixture(scope="module")
def old(empty_database_url, template):
    """Counted, and then partly dropped."""
    database = Database.from_settings(Settings(database_url=empty_database_url(template)))
    now = datetime.now(UTC)
    requests = sorted(made_requests(now), key=lambda one: one.received)
    truths = [one for one in made_truths(requests) if one.received < now]
    truths.sort(key=lambda one: one.received)
    keep(database, requests, truths)
    ingest_metadata(database, 1, {("camera", one.id): "north" for one in requests[::4]})
    refresh(database)
    for _ in range(2):  # the first round configures TimescaleDB's policies
        drop_expired(database, Settings(**KEEP), now)
    yield Old(database, requests, truths, now)
    database.dispose()


def keep(database, requests, truths):
    """Store them as if they had been received when they say."""
    registry = database.registry
    kinds = {PETS: Kind.CLASSIFICATION, PRICE: Kind.REGRESSION}
    models = registry.register_models(
        1, {ModelName("", "", name): kind for name, kind in kinds.items()}
    )
    names = {name.name: SeriesName(m.id, name.name, "1", "", "") for name, m in models.items()}
    ids = registry.series.register(names.values())
    series = {name: ids[one] for name, one in names.items()}
    labels = registry.register_labels(1, "ab")
    pets = next(model for name, model in models.items() if name.name == PETS)
    registry.register_classes((pets.id, label) for label in labels.values())
    with database.writing() as conn:
        copy_rows(conn, "prediction", PREDICTION, rows_of(requests, series, labels))
        copy_rows(conn, "outcome", OUTCOME, outcomes_of(truths, series, labels))


def rows_of(requests, series, labels):
    for one in requests:
        label = labels[one.label] if one.label else None
        numbers = (None, one.number) if one.label else (one.number, None)
        facts = (one.latency, 0, True, one.label is not None, one.failed, one.id)
        yield (one.received, one.time, series[one.model], label, *numbers, *facts)


def outcomes_of(truths, series, labels):
    for one in truths:
        pair = (labels["a"], labels["a" if one.hit else "b"])
        pairs = (*pair, None, None) if one.model == PETS else (None, None, 1.0, float(one.hit))
        score = 0.75 if one.model == PETS else None
        yield (one.received, one.time, series[one.model], *pairs, 1, 0, score)


def said(instant):
    return instant.isoformat()


def read(text_):
    return datetime.fromisoformat(text_)


def reached(edges, snapped, subject):
    """Edges as an answer about a subject reports them."""
    moved = {
        read(one["asked"]): read(one["answered"]) for one in snapped if one["subject"] == subject
    }
    assert moved.keys() <= set(edges)
    return [moved.get(edge, edge) for edge in edges]


def mean(numbers):
    return math.fsum(numbers) / len(numbers) if numbers else None


def quantile(numbers, fraction):
    return float(np.quantile(numbers, fraction)) if numbers else None


def close(found, wanted):
    if found is None or wanted is None:
        return found is wanted
    return math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-12)


backs = st.builds(
    lambda hours, minutes, seconds: timedelta(hours=hours, minutes=minutes, seconds=seconds),
    st.integers(0, 13 * 24),
    st.sampled_from([0, 0, 5, 17, 31]),
    st.sampled_from([0, 0, 1, 22.000001]),
)
lengths = st.sampled_from([MINUTE, HOUR, 5 * HOUR, DAY, 3 * DAY + 11 * MINUTE])
windows = st.tuples(backs, lengths)


def window_of(old, window):
    back, length = window
    return old.hour - back, old.hour - back + length


@examples(15, thorough=40)
@given(windows, st.sampled_from([None, 7, 60, 1440]), st.one_of(st.none(), backs))
@example((11 * DAY, 2 * DAY), None, 9 * DAY + 17 * MINUTE)
@example((11 * DAY + 11 * HOUR, 2 * DAY), None, 9 * DAY + 11 * HOUR + 17 * MINUTE)
def test_native_metrics(old, window, minutes, ago):
    start, end = window_of(old, window)
    width = end - start if minutes is None else minutes * MINUTE
    if width > end - start:
        return
    asked = {"model": PETS, "startTime": said(start), "endTime": said(end)}
    asked |= {} if minutes is None else {"interval": f"{minutes}m"}
    as_of = None if ago is None else old.hour - ago
    asked |= {} if as_of is None else {"asOf": said(as_of)}
    answer = old.get("/api/v1/metrics/classification", **asked).json

    edges = [start + n * width for n in range(math.ceil((end - start) / width))] + [end]
    known = read(answer["freshness"]["asOf"])
    assert as_of is None or known <= as_of
    assert answer["exact"] == (not answer["snapped"] and (as_of is None or known == as_of))
    at = known if as_of else None
    truths = [one for one in old.truths if one.model == PETS and (at is None or one.received < at)]
    requests = [one for one in old.of(PETS, known=at) if not one.failed]
    for subject, rows, member in (
        ("outcome", truths, "n"),
        ("prediction", requests, "predictions"),
    ):
        answered = reached(edges, answer["snapped"], subject)
        counts = Counter(bisect_right(answered, one.time) for one in rows)
        found = [bucket[member] for bucket in answer["buckets"]]
        assert found == [counts[place] for place in range(1, len(edges))], subject


@examples(15, thorough=40)
@given(windows)
def test_inference_stats(old, window):
    start, end = window_of(old, window)
    before = start - (end - start)
    answer = old.get("/api/v1/inference-stats", startTime=said(start), endTime=said(end)).json
    snapped = answer["snapped"]
    assert answer["exact"] == (not snapped)

    edges = reached([before, start, end], snapped, "prediction")
    previous, now = (old.of(start=a, end=b) for a, b in pairwise(edges))
    totals = answer["totals"]
    for name, rows in (("previous", previous), ("now", now)):
        assert totals["inferences"][name] == sum(not one.failed for one in rows)
        assert totals["errors"][name] == sum(one.failed for one in rows)
        sure = [one.number for one in rows if one.label]
        assert close(totals["confidence"][name], mean(sure))
    timed = old.of(None, *reached([start, end], snapped, "latency"))
    scored = old.of(PETS, *reached([start, end], snapped, "score"))
    for model in answer["models"]:  # what neither period counts isn't there
        own = [one.latency for one in timed if one.model == model["model"]]
        found = model["latencyQuantiles"]
        wanted = quantile([one for one in own if one is not None], 0.95)
        assert close(found and found["p95"], wanted)
        for row in model["classes"]:
            sure = [one.number for one in scored if one.label == row["label"]]
            found = row["confidenceQuantiles"]
            assert close(found and found["p50"], quantile(sure, 0.5))


@examples(12, thorough=30)
@given(windows)
def test_models(old, window):
    start, end = window_of(old, window)
    answer = old.get("/api/v1/models", startTime=said(start), endTime=said(end)).json
    edges = reached([start, end], answer["snapped"], "prediction")
    assert answer["exact"] == (not answer["snapped"])
    for one in answer["models"]:
        rows = old.of(one["model"], *edges)
        assert one["inferences"] == sum(not row.failed for row in rows)
        times = [row.time for row in old.requests if row.model == one["model"]]
        first, last = read(one["firstSeen"]), read(one["lastSeen"])
        assert first in (min(times), min(times).replace(minute=0, second=0, microsecond=0))
        assert last == max(times)


@examples(12, thorough=30)
@given(windows)
def test_roboflow_reports_where_it_is_not_exact(old, window):
    start, end = (one.replace(microsecond=0) for one in window_of(old, window))
    before = start - (end - start)
    answer = old.get(
        "/default/inference-stats", startTime=f"{start:{FORM}}", endTime=f"{end:{FORM}}"
    )
    found = answer.json
    snapped = found.get("snapped", [])
    assert found.get("exact", True) == (not snapped)
    assert answer.headers["Truthline-Exact"] == str(not snapped).lower()
    edges = reached([before, start, end], snapped, "prediction")
    previous, now = (old.of(start=a, end=b) for a, b in pairwise(edges))
    assert found["num_inferences"] == sum(not one.failed for one in now)
    assert found["prev_num_inferences"] == sum(not one.failed for one in previous)
    rows = old.of(PETS, *reached([start, end], snapped, "score"))
    for row in found["inference_stats"]:
        sure = [one.number for one in rows if one.label == row["predicted_class"]]
        assert close(row["median_confidence"], quantile(sure, 0.5))


@examples(12, thorough=30)
@given(windows)
def test_h2o_reports_where_it_is_not_exact(old, window):
    start, end = window_of(old, window)
    asked = {"startDateTime": said(start), "endDateTime": said(end)}
    path = f"/model-monitoring/v1/deployment/{PRICE}/metrics/-"
    answer = old.get(f"{path}/health", **asked)
    health, operational = answer.json, old.get(f"{path}/operational", **asked).json
    snapped = health["snapped"]
    assert health["exact"] == operational["exact"] == (not snapped)
    assert answer.headers["Truthline-Exact"] == str(not snapped).lower()
    assert bool(health["predictions"]["description"]) == bool(snapped)

    bins = health["predictions"]["bin"]
    edges = [read(one["xMin"]) for one in bins] + [end]
    answered = reached(edges, snapped, "prediction")
    ok = [one for one in old.of(PRICE) if not one.failed]
    counts = Counter(bisect_right(answered, one.time) for one in ok)
    assert [int(one["y"]) for one in bins] == [counts[n] for n in range(1, len(edges))]
    assert health["totalPredictions"] == sum(int(one["y"]) for one in bins)
    answered = reached(edges, snapped, "score")
    boxes = {read(one["xMin"]): float(one["y2"]) for one in health["predictionValues"]["box"]}
    for place, edge in enumerate(edges[:-1], start=1):
        values = [one.number for one in ok if bisect_right(answered, one.time) == place]
        assert close(boxes.get(edge), quantile(values, 0.5))

    order = {"deploymentId": PRICE, "metricName": "predictions", **asked}
    exported = old.client.post(
        "/model-monitoring/ai.h2o.mlops.monitoring.api.ModelMonitoringService/ExportMetric",
        json=order,
    )
    table = base64.b64decode(exported.json["result"]["data"]).decode()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert {one.get("exact", "true") for one in rows} == {str(not snapped).lower()}


@examples(10, thorough=20)
@given(windows)
def test_seldon_reports_where_it_is_not_exact(old, window):
    start, end = window_of(old, window)
    name = {"namespace": "", "pipelineName": "", "modelName": PETS}
    answer = old.get(
        "/metrics-server/api/v1/metrics/pipeline/classification",
        **name,
        startTime=said(start),
        endTime=said(end),
    )
    snapped = answer.json.get("snapped", [])
    edges = reached([start, end], snapped, "outcome")
    found = sum(answer.json["metrics"][0]["confusionMatrix"]["values"])
    truths = [one for one in old.truths if one.model == PETS]
    assert found == sum(edges[0] <= one.time < edges[1] for one in truths)
    assert answer.headers["Truthline-Exact"] == str(not snapped).lower()


@examples(10, thorough=20)
@given(windows, st.one_of(st.none(), backs))
def test_each_row_of_a_table_states_whether_it_is_exact(old, window, ago):
    start, end = window_of(old, window)
    asked = {"startTime": said(start), "endTime": said(end), "model": PETS, "interval": "1w"}
    asked |= {} if ago is None else {"asOf": said(old.hour - ago)}
    answer = old.get("/export/volume.csv", **asked)
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len({(row["exact"], row["asOf"]) for row in rows}) == 1
    known = read(rows[0]["asOf"]) if ago is not None else None
    answered = sum(int(row["answered"]) for row in rows)
    wanted = [one for one in old.of(PETS, start, end, known) if not one.failed]
    held_back = ago is not None and known != old.hour - ago
    assert answered == len(wanted) or rows[0]["exact"] == "false"
    assert not held_back or rows[0]["exact"] == "false"


@pytest.mark.parametrize(
    "panel", ["quality", "volume", "latency", "stats", "confidence", "versions"]
)
def test_every_table_about_dropped_rows_reports_that(old, panel):
    day = old.hour - 9 * DAY + 22 * MINUTE + 3 * timedelta(seconds=1)
    asked = {"startTime": said(day), "endTime": said(day + DAY), "model": PETS, "interval": "6h"}
    rows = list(csv.DictReader(io.StringIO(old.get(f"/export/{panel}.csv", **asked).text)))
    assert {row["exact"] for row in rows} == {"false"}
    recent = {"startTime": said(old.now - 2 * HOUR), "endTime": said(old.now), "model": PETS}
    rows = list(csv.DictReader(io.StringIO(old.get(f"/export/{panel}.csv", **recent).text)))
    assert {row["exact"] for row in rows} <= {"true"}


SHOWN = [panel for panel in PANELS.values() if panel.basis or panel.name == "summary"]


@pytest.mark.parametrize("panel", SHOWN, ids=lambda panel: panel.name)
def test_a_panel_about_dropped_rows_reports_that(old, panel):
    """A day that begins and ends within cells, and the last two hours."""
    model = PRICE if panel.name == "values" else PETS
    day = old.hour - 9 * DAY + 22 * MINUTE + 3 * timedelta(seconds=1)
    spans = {"not exact": (day, day + DAY), "exact": (old.now - 2 * HOUR, old.now)}
    for words, span in spans.items():
        asked = dict(zip(("startTime", "endTime"), map(said, span), strict=True))
        search = "?" + urlencode(asked | {"model": model})
        with old.client.application.test_request_context(environ_overrides={WORKSPACE: 1}):
            parts = str(render_panel(old.database, panel, search))
        assert ("not exact" in parts) == (words == "not exact")
        assert "refusal" not in parts


BASIS = text("""
    SELECT subject, asked, answered, known_at, exact FROM truthline.basis(
        'default', :model, CAST(:start AS timestamptz), CAST(:end AS timestamptz),
        as_of => CAST(:as_of AS timestamptz))
""")
VOLUME = text("""
    SELECT n + n_failed FROM truthline.prediction_volume(
        'default', :model, CAST(:start AS timestamptz), CAST(:end AS timestamptz),
        as_of => CAST(:as_of AS timestamptz))
""")


@examples(12, thorough=30)
@given(windows, st.one_of(st.none(), backs))
def test_a_function_reports_the_basis_of_functions_by_name(old, window, ago):
    start, end = window_of(old, window)
    as_of = "infinity" if ago is None else old.hour - ago
    asked = {"model": PETS, "start": start, "end": end, "as_of": as_of}
    with old.database.reading() as conn:
        rows = {row.subject: row for row in conn.execute(BASIS, asked)}
        volume = conn.execute(VOLUME, asked).scalar_one()
        all_models = conn.execute(BASIS, asked | {"model": None}).all()
    row = rows["prediction"]
    moved = dict(zip(row.asked, row.answered, strict=True))
    edges = [moved.get(edge, edge) for edge in (start, end)]
    assert volume == len(old.of(PETS, *edges, row.known_at))
    assert row.exact == (edges == [start, end] and row.known_at in (as_of, None))
    assert {one.subject for one in all_models} == rows.keys()


FIELD = {"fieldName": "camera", "fieldValue": "north"}


@examples(15, thorough=40)
@given(windows)
def test_by_metadata_an_answer_is_whole_or_refused(old, window):
    start, end = (one.replace(microsecond=0) for one in window_of(old, window))
    before = start - (end - start)
    asked = {"startTime": said(start), "endTime": said(end), **FIELD}
    answer = old.client.get("/api/v1/inference-stats", query_string=asked)
    form = {
        name: f"{one:%Y-%m-%d %H:%M:%S}" for name, one in (("startTime", start), ("endTime", end))
    }
    theirs = old.client.get("/default/inference-stats", query_string=form | FIELD)
    tagged = [one for one in old.requests[::4] if not one.failed]
    if answer.status_code == 422:
        assert answer.json["type"].endswith("#NotKept")
        assert theirs.status_code == 422
        assert theirs.json["error"]["type"] == "NotKept"
        assert any(
            before - HOUR < one.time < end + HOUR and one.received < old.now - 2 * DAY
            for one in old.requests
        )
        return
    assert answer.json["exact"]
    wanted = [sum(a <= one.time < b for one in tagged) for a, b in ((start, end), (before, start))]
    totals = answer.json["totals"]["inferences"]
    assert [totals["now"], totals["previous"]] == wanted
    assert [theirs.json["num_inferences"], theirs.json["prev_num_inferences"]] == wanted


def test_what_is_recent_is_answered_by_metadata(old):
    answer = old.client.get(
        "/api/v1/inference-stats",
        query_string={"startTime": said(old.now - 6 * HOUR), "endTime": said(old.now), **FIELD},
    )
    assert answer.status_code == 200
    assert answer.json["totals"]["inferences"]["now"] > 0


@examples(10, thorough=20)
@given(backs, st.sampled_from([HOUR, 5 * HOUR, DAY]))
@example(9 * DAY + 17 * MINUTE, 2 * DAY)
@example(9 * DAY + 11 * HOUR + 17 * MINUTE, 2 * DAY)
def test_truths_and_requests_of_the_overview_are_of_one_moment(old, ago, length):
    """What happened just before it is what a later moment would count more of."""
    as_of = old.hour - ago
    end = as_of.replace(minute=0, second=0, microsecond=0) + HOUR
    asked = Window(end - length, end)
    shared = text("SELECT truthline_internal.shared_reach_as_of('{prediction,outcome}', :as_of)")
    with old.database.reading() as conn:
        known = conn.execute(shared, {"as_of": as_of}).scalar_one()
        found = overview(conn, Question(1, ALL, asked, fixed_grid(DAY, "UTC"), as_of))
    for one in found:
        requests = old.of(one.name.name, asked.start, asked.end, known)
        truths = [
            row
            for row in old.truths
            if row.model == one.name.name
            and asked.start <= row.time < asked.end
            and row.received < known
        ]
        assert one.inferences.now == sum(not row.failed for row in requests)
        assert one.truths.now == len(truths)


def test_predictions_without_truths_are_missed_too(fresh_database_url):
    """The smallest case: three predictions of an hour, without rows, and a query of a minute."""
    database = Database.from_settings(Settings(database_url=fresh_database_url))
    now = datetime.now(UTC)
    hour = (now - 9 * DAY).replace(minute=0, second=0, microsecond=0)
    times = [hour + timedelta(minutes=m) for m in (10.5, 12, 40)]
    keep(database, [Request(PETS, at, at, "a", 0.5, 0.25, False, str(at)) for at in times], [])
    refresh(database)
    for _ in range(2):
        drop_expired(database, Settings(keep_raw_days=3), now)
    client = create_app(Settings(auth=False), database).test_client()
    start = hour + 10 * MINUTE
    asked = {"model": PETS, "startTime": said(start), "endTime": said(start + MINUTE)}
    answer = client.get("/api/v1/metrics/classification", query_string=asked).json
    database.dispose()

    assert answer["buckets"][0]["predictions"] == 0
    assert not answer["exact"]
    (moved,) = answer["snapped"]
    assert (read(moved["asked"]), read(moved["answered"])) == (start + MINUTE, start)
    assert moved["subject"] == "prediction"
