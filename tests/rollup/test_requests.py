"""Requests and label delay over weeks of history: levels say where, rows say which.

Rows are stored with past times of receipt, and compared with plain Python over the same rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

import pytest
from sqlalchemy import text

from app.config import Settings
from app.query import requests as requests_module
from app.query.label_delay import DELAYS, label_delay, still_expected
from app.query.question import Question
from app.query.requests import EVER, RequestFilter, requests_page
from app.query.settle import settle
from app.query.subjects import Scope
from app.query.window import Grid, Window
from app.rollup.refresh import refresh
from app.rollup.retention import drop_expired
from app.store.database import Database
from app.store.registry import ModelName
from tests.api.given import now_of

NAME = ModelName("", "", "m")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FILTERS = [
    RequestFilter(),
    RequestFilter(wrong=True),
    RequestFilter(wrong=False, predicted="a"),
    RequestFilter(predicted="a", actual="c"),
    RequestFilter(labelled=False),
    RequestFilter(labelled=False, predicted="b"),
    RequestFilter(labelled=True, least_confidence=0.9),
    RequestFilter(failed=True),
]
MODEL = text("""
    WITH m AS (INSERT INTO model (workspace_id, namespace, pipeline, name, kind)
               VALUES (1, '', '', 'm', 'classification') RETURNING id)
    INSERT INTO series (model_id, deployment, version, deployment_type, server_version)
    SELECT m.id, '', v, '', '' FROM m, unnest(ARRAY['1', '2']) AS v RETURNING id
""")
LABELS = text("INSERT INTO label (workspace_id, name) SELECT 1, unnest('{a,b,c}'::text[])")
PREDICTION = text("""
    INSERT INTO prediction (received_at, time, confidence, series_id, label_id, batch_index,
                            starts_request, starts_label, failed, request_id)
    SELECT :received, :time, :confidence, s.id, (SELECT id FROM label WHERE name = :label), 0, true,
           true, CAST(:label AS text) IS NULL, :id
    FROM series AS s WHERE s.version = :version
""")
OUTCOME = text("""
    INSERT INTO outcome (received_at, time, series_id, predicted_label, actual_label, weight,
                         batch_index, request_id)
    SELECT :received, :time, s.id, (SELECT id FROM label WHERE name = :label),
           (SELECT id FROM label WHERE name = :actual), :weight, 0, :id
    FROM series AS s WHERE s.version = :version
""")


@dataclass
class Made:
    """A prediction, and its truths with the moments at which they were learned."""

    id: str
    time: datetime
    received: datetime
    version: str
    label: str | None
    confidence: float
    truths: list[tuple[datetime, str]] = field(default_factory=list)

    def truth(self, as_of: datetime) -> str | None:
        known = [label for moment, label in self.truths if moment < as_of]
        return known[-1] if known else None


@dataclass(frozen=True)
class Past:
    """A database with forty days of history, and what is in it."""

    database: Database
    made: Sequence[Made]
    now: datetime


def made_between(random: Random, start: datetime, end: datetime, number: int) -> list[Made]:
    """Predictions of some hours of most days; errors are rare, and so are missing truths."""
    made = []
    while len(made) < number:
        time = start + random.random() * (end - start)
        if time.hour < 6 or time.day % 9 == 4:
            continue
        label = None if random.random() < 0.05 else random.choice("aab")
        received = time + random.random() * timedelta(seconds=20)
        one = Made(f"r{len(made)}", time, received, random.choice("12"), label, random.random())
        delay = random.choice([timedelta(minutes=50), 2 * HOUR, 7 * HOUR, 2 * DAY, 12 * DAY])
        learned = time + random.expovariate(1) * delay
        while label and random.random() < (0.93 if not one.truths else 0.15) and learned < end:
            others = [other for other in "abc" if [other] != [t for _, t in one.truths[-1:]]]
            right = label in others and random.random() < 0.97
            one.truths.append((max(learned, received), label if right else random.choice(others)))
            learned = one.truths[-1][0] + random.random() * DAY
        made.append(one)
    return made


def store(database: Database, made: Sequence[Made]) -> None:
    predictions, outcomes = [], []
    for one in made:
        names = {"time": one.time, "version": one.version, "label": one.label, "id": one.id}
        predictions.append(names | {"received": one.received, "confidence": one.confidence})
        before = None
        for moment, actual in one.truths:
            row = names | {"received": moment}
            if before:
                outcomes.append(row | {"actual": before, "weight": -1})
            outcomes.append(row | {"actual": actual, "weight": 1})
            before = actual
    with database.writing() as conn:
        conn.execute(MODEL)
        conn.execute(LABELS)
        conn.execute(PREDICTION, sorted(predictions, key=lambda row: row["received"]))
        conn.execute(OUTCOME, sorted(outcomes, key=lambda row: row["received"]))


@pytest.fixture(scope="module")
def past(empty_database_url, template):
    """Forty days of history, in levels up to an hour ago."""
    database = Database.from_settings(Settings(database_url=empty_database_url(template)))
    now = now_of(database)
    made = made_between(Random(5), now - 40 * DAY, now, 1_500)
    store(database, made)
    refresh(database)
    yield Past(database, made, now)
    database.dispose()


def meets(one: Made, which: RequestFilter, as_of: datetime) -> bool:
    truth, failed = one.truth(as_of), one.label is None
    checks = [
        which.predicted is None or one.label == which.predicted,
        which.actual is None or truth == which.actual,
        which.wrong is None or (truth is not None and (truth != one.label) == which.wrong),
        which.labelled is None or (not failed and (truth is not None) == which.labelled),
        which.failed is None or failed == which.failed,
        which.least_confidence is None or one.confidence >= which.least_confidence,
    ]
    return all(checks)


def wanted(past, which, window, as_of, since=None):
    return [
        (one.id, one.truth(as_of), one.label, len([t for t, _ in one.truths if t < as_of]))
        for one in sorted(past.made, key=lambda one: one.time, reverse=True)
        if window.start <= one.time < window.end and one.received < as_of
        if (since is None or one.received >= since) and meets(one, which, as_of)
    ]


def found(past, which, window, as_of=None, size=40):
    """All pages, and the rows that were read for them."""
    listed, n_read, after = [], 0, None
    with past.database.reading() as conn:
        question = settle(conn, Question(1, Scope(NAME), window, as_of=as_of))
        for _ in range(500):
            page = requests_page(conn, question, which, size=size, after=after)
            listed += [
                (r.request_id, r.actual_label, r.predicted_label, r.n_truths) for r in page.requests
            ]
            n_read, after = n_read + page.n_read, page.following
            if after is None:
                return listed, n_read, page.kept_since
    raise AssertionError("the pages have no end")


def windows(now):
    yield EVER
    yield Window(now - 20 * DAY + timedelta(seconds=7), now - 3 * DAY - timedelta(minutes=13))
    yield Window(now - 30 * HOUR, now)


@pytest.mark.parametrize("which", FILTERS, ids=str)
def test_what_is_listed_is_what_was_stored(past, which, monkeypatch):
    monkeypatch.setattr(requests_module, "MAX_READ", 300)
    for window in windows(past.now):
        for as_of in (None, past.now - 9 * DAY - timedelta(minutes=31)):
            listed, _, _ = found(past, which, window, as_of)
            assert listed == wanted(past, which, window, as_of or past.now + DAY), (window, as_of)


def test_hours_without_such_requests_are_not_read(past):
    rare = RequestFilter(predicted="a", actual="c")
    listed, n_read, _ = found(past, rare, EVER)

    assert 0 < len(listed) < 100
    rows = len(past.made) + sum(2 * len(one.truths) - 1 for one in past.made if one.truths)
    assert n_read < rows / 4
    assert found(past, RequestFilter(predicted="c"), EVER)[1] == rows  # cells aren't asked


# --- label delay --------------------------------------------------------------------------


def delays_of(past, window, as_of):
    """(until, predictions, known) of each delay, in plain Python."""
    five = timedelta(minutes=5)
    for delay in DELAYS.values():
        until = window.end
        if as_of - delay < window.end:
            since = as_of - delay - datetime(2000, 1, 3, tzinfo=as_of.tzinfo)
            until = datetime(2000, 1, 3, tzinfo=as_of.tzinfo) + since // five * five
        if until <= window.start:
            yield None, None, None
            continue
        cohort = [one for one in past.made if one.label and window.start <= one.time < until]
        known = [
            one
            for one in cohort
            if one.truths and one.truths[0][0] < as_of and one.truths[0][0] - one.time <= delay
        ]
        yield until, len([one for one in cohort if one.received < as_of]), len(known)


def curve_of(past, window, as_of=None, grid=Grid()):  # noqa: B008 - frozen
    with past.database.reading() as conn:
        return label_delay(conn, Question(1, Scope(NAME), window, grid, as_of))


def test_the_curve_is_that_of_the_rows(past):
    for window in (
        Window(past.now - 39 * DAY + timedelta(seconds=11), past.now - timedelta(minutes=3)),
        Window(past.now - 20 * DAY, past.now - 3 * DAY - timedelta(minutes=13)),
        Window(past.now - timedelta(minutes=190), past.now - timedelta(minutes=1)),
        Window(past.now - 2 * DAY, past.now - 2 * DAY + timedelta(minutes=2)),
    ):
        for as_of in (past.now, past.now - 5 * DAY - timedelta(minutes=31)):
            delays = curve_of(past, window, as_of)
            shown = [(one.until, one.predictions, one.known) for one in delays.curve]
            assert shown == list(delays_of(past, window, as_of)), (window, as_of)
            assert delays.exact


def test_a_young_bucket_expects_what_old_ones_got(past):
    window = Window(past.now - 39 * DAY, past.now)
    delays = curve_of(past, window, past.now, Grid(DAY, None, "UTC"))

    assert [bucket.n for bucket in delays.buckets] == [
        sum(1 for one in past.made if one.truths and bucket.start <= one.time < bucket.end)
        for bucket in delays.buckets
    ]
    longest = delays.curve[-1].share
    expected = [bucket.still_expected for bucket in delays.buckets]
    assert expected == sorted(expected)
    assert expected[0] == 0 < expected[-1] < longest
    halfway = (delays.curve[2].share + delays.curve[3].share) / 2
    assert still_expected(delays.curve, 4 * DAY) == pytest.approx(longest - halfway, abs=1e-12)
    assert still_expected((), DAY) is None


# --- retention: last, because it drops rows -----------------------------------------------


def test_what_was_dropped_is_neither_listed_nor_hidden(past):
    settings = Settings(keep_raw_days=15)
    assert drop_expired(past.database, settings, past.now)

    for which in FILTERS:
        listed, _, since = found(past, which, EVER)
        assert since is not None
        assert listed == wanted(past, which, EVER, past.now + DAY, since)
    assert past.now - 17 * DAY < since <= past.now - 14 * DAY
    delays = curve_of(past, Window(past.now - 39 * DAY, past.now), past.now)
    plain = list(delays_of(past, Window(past.now - 39 * DAY, past.now), past.now))
    assert not delays.exact
    for one, (_, _, known) in zip(delays.curve, plain, strict=True):
        assert one.known <= known <= one.possible
