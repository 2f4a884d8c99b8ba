"""Both periods, and every edge of a bin, equal a plain count over the same rows, whatever part of
them is in levels; quantiles equal numpy's."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from app.auth.workspaces import find_or_create_workspace
from app.ingest.inferences import Detection, Prediction
from app.ingest.metadata import ingest_metadata
from app.ingest.predictions import ingest_predictions
from app.query.inferences import class_stats, inference_totals, model_stats
from app.query.models import known_models
from app.query.question import Question
from app.query.subjects import ALL, Selection
from app.query.window import Window
from app.rollup.refresh import refresh
from tests.doubles import LEAST, counted, nearest, seconds, shares, taken
from tests.effort import examples

START = datetime(2026, 3, 1, 11, 37, 22, tzinfo=UTC)
LENGTH = timedelta(hours=5, minutes=7, seconds=3, microseconds=5)
END, BEFORE = START + LENGTH, START - LENGTH
WINDOW = Window(START, END)
MICROSECOND = timedelta(microseconds=1)
FRACTIONS = (0.0, 0.5, 0.9, 0.95, 0.99, 1.0)
TAGGED = Selection(field="tag", value="x")

times = st.one_of(
    st.sampled_from([BEFORE, START, END]).flatmap(
        lambda edge: st.sampled_from([edge - MICROSECOND, edge, edge + MICROSECOND])
    ),
    st.timedeltas(-1.2 * LENGTH, 1.2 * LENGTH).map(lambda offset: START + offset),
)
# Bounds of bins and their neighbours, equal ones, and anything.
bounds = st.integers(0, 64).map(lambda n: n / 64)
confidences = st.one_of(
    bounds,
    bounds.filter(lambda c: 0 < c < 1).map(lambda c: float(np.nextafter(c, 2))),
    bounds.filter(bool).map(lambda c: float(np.nextafter(c, -1))),
    shares,
    st.none(),
)
latencies = st.one_of(st.sampled_from([None, 0.0, 0.1, 0.125, 0.99, 1.0, 2.5]), seconds)
# Of a request that failed, what it came with perhaps.
failures = st.sampled_from([None, None, None, None, "empty", "with its outputs"])
detections = st.lists(st.builds(Detection, st.sampled_from(["a", "b"]), confidences), max_size=4)
outputs = st.one_of(
    st.tuples(st.sampled_from(["cards", "hats"]), detections.map(lambda d: {"detections": d})),
    st.tuples(st.just("price"), taken.map(lambda value: {"value": value})),
)
predictions = st.builds(
    lambda version, time, output, latency, failure: Prediction(
        model=output[0],
        version=version,
        server_version=version,
        time=time,
        latency_seconds=latency,
        error=failure is not None,
        **({} if failure == "empty" else output[1]),
    ),
    st.sampled_from(["", "1", "2"]),
    times,
    outputs,
    latencies,
    failures,
)
batches = st.lists(predictions, max_size=25)
large = st.lists(predictions, min_size=40, max_size=60)


def exact_mean(numbers):
    """Of the shortest decimals, rounded once."""
    known = [counted(number) for number in numbers if number is not None]
    return nearest(sum(known) / len(known)) if known else None


def about(numbers):
    """But for the last digit."""
    return [n if n is None else pytest.approx(n, rel=1e-15, abs=2 * LEAST) for n in numbers]


def outputs_of(prediction):
    """(class, confidence); a value has neither."""
    if prediction.error:
        return []
    if prediction.value is not None:
        return [(None, None)]
    if prediction.label is not None:
        return [(prediction.label, prediction.confidence)]
    return [(d.label, d.confidence) for d in prediction.detections] or [("", 0.0)]


class Period:
    """What one period counts, by plain Python."""

    def __init__(self, predictions, start, end):
        self.all = [p for p in predictions if start <= p.time < end]
        self.rows = defaultdict(list)
        for p in self.all:
            for label, confidence in outputs_of(p):
                self.rows[p.model, label].append((p, confidence))

    def totals(self):
        outputs = [row for rows in self.rows.values() for row in rows]
        return [
            sum(not p.error for p in self.all),
            sum(p.error for p in self.all),
            exact_mean(c for _, c in outputs),
            exact_mean(p.latency_seconds for p, _ in outputs),
        ]

    def model(self, name):
        own = [p for p in self.all if p.model == name]
        latency = exact_mean(p.latency_seconds for p in own)
        return [sum(not p.error for p in own), sum(p.error for p in own), latency]

    def class_keys(self):
        return {key for key in self.rows if key[1] is not None}

    def classes(self, key):
        rows = self.rows.get(key)
        if not rows:
            return [None] * 5
        return [
            len({id(p) for p, _ in rows}),
            len(rows),
            self.model(key[0])[0],
            exact_mean(c for _, c in rows),
            exact_mean(p.latency_seconds for p, _ in rows),
        ]

    def versions(self, key):
        return ",".join(sorted({p.version for p, _ in self.rows[key]} - {""}))


def quantiles(numbers):
    known = [number for number in numbers if number is not None]
    return about([float(q) for q in np.quantile(known, FRACTIONS)]) if known else None


def members(stats, *names):
    """(now, before) of each, as two lists."""
    pairs = [(getattr(stats, name).now, getattr(stats, name).previous) for name in names]
    return [list(side) for side in zip(*pairs, strict=True)]


def ask(database, workspace_id, selection=ALL):
    question = Question(workspace_id, selection, WINDOW)
    with database.reading() as conn:
        return (
            inference_totals(conn, question),
            class_stats(conn, question, fractions=FRACTIONS),
            model_stats(conn, question, fractions=FRACTIONS),
            known_models(conn, question.about(ALL)),
        )


def compare(answers, sent):
    totals, classes, models, known = answers
    now, before = Period(sent, START, END), Period(sent, BEFORE, START)
    names = ("inferences", "errors", "confidence", "latency")
    assert members(totals, *names) == [about(now.totals()), about(before.totals())]

    assert {(c.model, c.label) for c in classes} == now.class_keys() | before.class_keys()
    for c in classes:
        key = (c.model, c.label)
        names = ("inferences", "outputs", "model_inferences", "confidence", "latency")
        assert members(c, *names) == [about(now.classes(key)), about(before.classes(key))]
        assert c.quantiles == quantiles([confidence for _, confidence in now.rows.get(key, [])])
        assert c.server_versions == (now if key in now.rows else before).versions(key)
    order = [
        (-sum(p.model(c.model)[0] for p in (now, before)), c.model, -both(c.inferences), c.label)
        for c in classes
    ]
    assert order == sorted(order)

    assert {m.model for m in models} == {p.model for p in now.all + before.all}
    for m in models:
        names = ("inferences", "errors", "latency")
        assert members(m, *names) == [about(now.model(m.model)), about(before.model(m.model))]
        own = [p.latency_seconds for p in now.all if p.model == m.model]
        assert m.quantiles == quantiles(own)
    check_known(known, sent, now)


def check_known(known, sent, now):
    assert [m.name for m in known] == sorted({p.model for p in sent})
    for m in known:
        own = [p for p in sent if p.model == m.name]
        assert (m.first_seen, m.last_seen) == (
            min(p.time for p in own),
            max(p.time for p in own),
        )
        assert list(m.versions) == sorted({p.version for p in own} - {""})
        assert [m.inferences, m.errors] == now.model(m.name)[:2]


def both(compared):
    return (compared.now or 0) + (compared.previous or 0)


def compared(database, early, late=()):
    """Tell, with the levels brought up to date before what is late, and compare; the workspace."""
    with database.writing() as conn:
        workspace_id = find_or_create_workspace(conn, uuid4().hex)
    early, late = (
        [structs.replace(one, request_id=uuid4().hex) for one in batch] for batch in (early, late)
    )
    if early:
        ingest_predictions(database, workspace_id, early)
    if late:
        refresh(database)
        ingest_predictions(database, workspace_id, late)
    sent = [*early, *late]
    fields = {(TAGGED.field, one.request_id): TAGGED.value for one in sent}
    ingest_metadata(database, workspace_id, fields)
    for selection in (ALL, TAGGED):
        compare(ask(database, workspace_id, selection), sent)
    return workspace_id


@examples(15, thorough=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches)
def test_every_number_is_that_of_plain_python(database, sent):
    compared(database, sent)


def test_so_is_what_levels_hold(brisk):
    @settings(max_examples=3, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(large, batches.filter(bool))
    def tell(early, late):
        compared(brisk, early, late)

    tell()


def test_the_least_doubles_take_no_workspace_down(database):
    tiny = {"model": "cards", "time": START, "latency_seconds": LEAST}
    compared(
        database,
        [
            Prediction(**tiny, detections=[Detection("a", confidence)])
            for confidence in (0.0, LEAST, -0.0, 2 * LEAST)
        ],
    )


def test_what_failed_is_no_output(database):
    """Neither its latency, nor the class and the confidence that it came with."""
    price = {"model": "price", "time": START}
    hats = {"model": "hats", "time": START, "latency_seconds": 1.0, "label": "a"}
    workspace_id = compared(
        database,
        [
            Prediction(**price, value=1.0, latency_seconds=1.0),
            Prediction(**price, error=True, latency_seconds=9.0),
        ],
    )
    totals, *_ = ask(database, workspace_id)
    assert (totals.latency.now, totals.errors.now) == (1.0, 1)

    workspace_id = compared(
        database,
        [
            Prediction(**hats, confidence=0.5),
            Prediction(**hats, confidence=1.0, error=True),
            Prediction(**hats | {"label": "b"}, confidence=1.0, error=True),
        ],
    )
    totals, [only], _, _ = ask(database, workspace_id)
    assert (totals.confidence.now, totals.inferences.now, totals.errors.now) == (0.5, 1, 2)
    assert (only.label, only.outputs.now, only.confidence.now) == ("a", 1, 0.5)
    assert only.quantiles == [0.5] * len(FRACTIONS)
