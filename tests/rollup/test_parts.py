"""Parts of an answer by a tag add up to the whole: while rows come in, and after some are gone."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.config import Settings
from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.inferences import Prediction
from app.ingest.predictions import PREDICTION_COLUMNS, ingest_predictions
from app.query.classification import classification
from app.query.inferences import inference_totals
from app.query.parts import totals_by_tag
from app.query.question import Division, Question
from app.query.regression import regression
from app.query.subjects import Scope, Selection
from app.query.window import Grid, Window
from app.rollup.refresh import refresh
from app.rollup.retention import drop_expired
from app.store.copy import copy_rows
from app.store.database import Database
from app.store.registry import Kind, ModelName
from app.store.series import SeriesName
from tests.effort import examples
from tests.oracle.test_ingest_machine import matrix_cells
from tests.rollup.conftest import OUTCOME, new_series

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
COUNTRIES = ["FR", "DE", "IT", "ES", "", "PL", "BE"]
CLASSES, PRICES = ModelName("", "", "classes"), ModelName("", "", "prices")
KEEP = Settings(keep_raw_days=3, keep_fine_days=6, keep_asof_days=5)


def tags_of(country):
    return (("country", country), ("plan", "pro")) if country else (("plan", "free"),)


class Old:
    """Ten days of predictions and truths by country, of which the older rows were dropped."""

    def __init__(self, database, now):
        self.database, self.now = database, now


@pytest.fixture(scope="module")
def old(empty_database_url, template):
    database = Database.from_settings(Settings(database_url=empty_database_url(template)))
    now, dice = datetime.now(UTC), random.Random(11)
    model = database.registry.register_models(1, {CLASSES: Kind.CLASSIFICATION})[CLASSES]
    names = [SeriesName(model.id, "", "1", "", "", tags_of(country)) for country in COUNTRIES]
    ids = list(database.registry.series.register(names).values())
    labels = list(database.registry.register_labels(1, "abc").values())
    outcomes, predictions = [], []
    for at in sorted(now - dice.random() * 10 * DAY for _ in range(4000)):
        # few rows of most, so that a cell often has old rows of some countries only
        series = dice.choices(ids, weights=[40, 20, 3, 2, 2, 1, 1])[0]
        time = at - dice.random() ** 3 * 2 * DAY
        predicted = dice.choice(labels)
        outcomes.append((at, time, series, predicted, dice.choice(labels), 1, 0))
        failed = dice.random() < 0.1
        values = (time, series, predicted, None, 0.5, dice.randint(1, 9) / 8, True, True, failed)
        predictions.append((at, *values, None, 0))
    with database.writing() as conn:
        copy_rows(conn, "outcome", OUTCOME, outcomes)
        copy_rows(
            conn, "prediction", {"received_at": "timestamptz"} | PREDICTION_COLUMNS, predictions
        )
    refresh(database)
    drop_expired(database, KEEP, now)
    yield Old(database, now)
    database.dispose()


def additive(answer):
    """Per bucket: pairs of classes and successful requests."""
    return [
        matrix_cells(bucket.matrix) + Counter({"predictions": coverage.predictions})
        for bucket, coverage in zip(answer.buckets, answer.coverage, strict=True)
    ]


def assert_adds_up(answer):
    """Of all parts of an answer, in each bucket."""
    parts = [additive(part) for part in answer.parts]
    whole = additive(answer)
    assert [sum(of_bucket, Counter()) for of_bucket in zip(*parts, strict=True)] == (
        whole if parts else [of_bucket for of_bucket in whole if of_bucket]
    )
    for part in answer.parts:
        assert [bucket.start for bucket in part.buckets] == [b.start for b in answer.buckets]


widths = st.sampled_from([None, 7 * MINUTE, HOUR, 90 * MINUTE, 6 * HOUR, DAY])
backs = st.builds(
    lambda hours, minutes: timedelta(hours=hours, minutes=minutes),
    st.integers(1, 12 * 24),
    st.sampled_from([0, 0, 5, 17, 31]),
)


def test_parts_add_up_after_rows_were_dropped(old):
    """Also where an edge can no longer divide a cell of the whole, but that of a part."""
    moved = []

    @examples(120, thorough=1500)
    @given(
        back=backs,
        length=st.sampled_from([37 * MINUTE, 5 * HOUR, DAY, 3 * DAY + 11 * MINUTE]),
        width=widths,
        most=st.sampled_from([1, 3, 10]),
        as_of=st.one_of(st.none(), st.none(), backs),
    )
    def check(back, length, width, most, as_of):
        window = Window(old.now - back, old.now - back + length)
        grid = Grid(None if width is None or width > length else width)
        moment = None if as_of is None else old.now - as_of
        question = Question(1, Scope(CLASSES), window, grid, moment)
        with old.database.reading() as conn:
            answer = classification(
                conn,
                old.database.registry,
                question,
                with_predictions=True,
                division=Division("country", most),
            )
        assert_adds_up(answer)
        moved.append(bool(answer.basis.snapped))
        assert sum(not part.is_rest for part in answer.parts) <= most

    check()
    assert True in moved
    assert False in moved


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def write(database, seed, stop):
    """Batches of predictions, their truths, and corrections, until told to stop."""
    dice, number = random.Random(seed), 0
    while not stop.is_set():
        number += 1
        ids = [f"{seed}-{number}-{n}" for n in range(20)]
        ingest_predictions(database, 1, [_prediction(dice, id_) for id_ in ids])
        truths = [_truth(dice, id_) for id_ in ids]
        ingest_feedback(database, 1, truths)
        ingest_feedback(database, 1, [_truth(dice, id_) for id_ in ids[::3]])
    return number


def _prediction(dice, id_):
    country = dice.choice(COUNTRIES)
    price = id_.endswith(("3", "7"))
    output = {"value": float(dice.randint(0, 50))} if price else {"label": dice.choice("abc")}
    return Prediction(
        model=(PRICES if price else CLASSES).name,
        request_id=id_,
        time=NOON + dice.random() * 5 * HOUR,
        tags=dict(tags_of(country)),
        latency_seconds=dice.random(),
        error=dice.random() < 0.05,
        **output,
    )


def _truth(dice, id_):
    price = id_.endswith(("3", "7"))
    output = {"value": float(dice.randint(0, 50))} if price else {"label": dice.choice("abc")}
    return Feedback(model=(PRICES if price else CLASSES).name, request_id=id_, **output)


ASKED = 40
WRITERS = 3


def test_parts_add_up_while_rows_come_in_and_levels_are_refreshed(own):
    stop, dice = Event(), random.Random(5)
    seen = Counter()
    write_once(own)
    with ThreadPoolExecutor(WRITERS + 1) as pool:
        writers = [pool.submit(write, own, seed, stop) for seed in range(WRITERS)]
        refresher = pool.submit(refresh_until, own, stop)
        try:
            for _ in range(ASKED):
                ask(own, dice, seen)
        finally:
            stop.set()
        assert all(writer.result(60) for writer in writers)
        assert refresher.result(60)
    assert seen["rests"]
    assert seen["groups"] > ASKED


def write_once(database):
    dice = random.Random(0)
    ingest_predictions(database, 1, [_prediction(dice, f"first-{n}") for n in range(50)])
    ingest_feedback(database, 1, [_truth(dice, f"first-{n}") for n in range(50)])


def refresh_until(database, stop):
    times = 0
    while not stop.is_set():
        refresh(database)
        times += 1
        stop.wait(0.05)
    return times


def ask(database, dice, seen):
    """Everything by country, from one snapshot each."""
    start = NOON + dice.choice([0, 17, 60, 133]) * MINUTE
    window, most = Window(start, start + dice.choice([HOUR, 6 * HOUR])), dice.choice([1, 2, 5, 10])
    grid = Grid(dice.choice([None, 20 * MINUTE]))
    division = Division("country", most)
    with database.reading() as conn:
        answer = classification(
            conn,
            database.registry,
            Question(1, Scope(CLASSES), window, grid),
            with_predictions=True,
            division=division,
        )
        errors = regression(
            conn,
            Question(1, Scope(PRICES), window, grid),
            with_predictions=True,
            division=division,
        )
        selected = Question(1, Selection(), window)
        totals, parts = inference_totals(conn, selected), totals_by_tag(conn, selected, division)
    assert_adds_up(answer)
    for place, bucket in enumerate(errors.buckets):
        own = [part.buckets[place] for part in errors.parts]
        assert sum(one.n for one in own) == bucket.n
        # integers, so the sums of errors are exact
        assert sum(round(one.n * (one.mean_absolute_error or 0)) for one in own) == round(
            bucket.n * (bucket.mean_absolute_error or 0)
        )
        assert sum(round(one.n * (one.mean_squared_error or 0)) for one in own) == round(
            bucket.n * (bucket.mean_squared_error or 0)
        )
    for name in ("inferences", "errors"):
        assert sum(getattr(part.totals, name).now for part in parts) == getattr(totals, name).now
    ordered = [part.n for part in answer.parts if not part.is_rest]
    assert ordered == sorted(ordered, reverse=True)
    seen["groups"] += len(ordered)
    seen["rests"] += any(part.is_rest for part in answer.parts)


MANY = 250


def test_an_answer_of_many_series_is_that_of_their_rows(own):
    """More than of_many looks at one by one; from rows, from levels, and cut by edges."""
    name = ModelName("", "", "many")
    rows = [
        Prediction(
            model=name.name,
            request_id=f"r{n}",
            time=NOON + n * MINUTE,
            label="abc"[n % 3],
            tags={"shop": f"s{n}", "country": COUNTRIES[n % 3]},
        )
        for n in range(MANY)
    ]
    ingest_predictions(own, 1, rows)
    truths = [
        Feedback(model=name.name, request_id=f"r{n}", label="abc"[n % 2]) for n in range(MANY)
    ]
    ingest_feedback(own, 1, truths)
    window = Window(NOON + 7 * MINUTE, NOON + 200 * MINUTE)
    expected = [
        Counter(("abc"[n % 3], "abc"[n % 2]) for n in range(first, min(first + 50, 200)))
        for first in range(7, 200, 50)
    ]

    for _ in range(2):
        with own.reading() as conn:
            question = Question(1, Scope(name), window, Grid(50 * MINUTE))
            answer = classification(
                conn,
                own.registry,
                question,
                with_predictions=True,
                division=Division("country", 2),
            )
        assert [matrix_cells(bucket.matrix) for bucket in answer.buckets] == expected
        assert [c.predictions for c in answer.coverage] == [c.total() for c in expected]
        assert_adds_up(answer)
        assert [part.is_rest for part in answer.parts] == [False, False, True]
        refresh(own)


MORE_SERIES = text("""
    INSERT INTO series (model_id, deployment, version, deployment_type, server_version)
    SELECT model_id, '', 'more' || n, '', ''
    FROM (SELECT min(model_id) AS model_id FROM series) AS known, generate_series(1, 1000) AS n
    RETURNING id
""")
PIECES = text("""
    SELECT query LIKE '%series_id = ANY ($1)%' AS one_by_one,
           query LIKE '%series_id = ANY (ARRAY(SELECT unnest($1)))%' AS by_series,
           query LIKE '%(series_id IN (SELECT unnest($1))) IS TRUE%' AS by_time
    FROM regexp_split_to_table(truthline_internal.cells_query(
        'outcome', '{n}', CAST(:series AS integer[]),
        truthline_internal.edges(date_trunc('day', now(), 'UTC') - interval '1 day',
                                 date_trunc('day', now(), 'UTC'), '1 day'), 'infinity'),
        'UNION ALL')
        WITH ORDINALITY AS piece (query, place) ORDER BY place
""")


def test_what_many_series_received_of_late_is_found_by_the_learned_clock(own):
    """By series, each recent span would be searched for all that the window has of them."""
    new_series(own)
    refresh(own)
    with own.writing() as conn:
        series = list(conn.execute(MORE_SERIES).scalars())
    with own.outside_transactions() as conn:
        conn.exec_driver_sql("ANALYZE series")
    with own.reading() as conn:
        few, some, most = (
            conn.execute(PIECES, {"series": series[:n]}).all() for n in (100, 110, 900)
        )
    assert len(few) == len(some) == len(most) > 1
    assert {tuple(piece) for piece in few} == {(True, False, False)}
    assert {tuple(piece) for piece in some} == {(False, True, False)}
    assert [tuple(piece) for piece in most] == [(False, True, False)] + [(False, False, True)] * (
        len(most) - 1
    )
