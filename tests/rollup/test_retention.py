"""Dropped rows still count; an answer reports what it can't give exactly any more."""

import random
import time
from bisect import bisect_right
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.config import Settings
from app.errors import NotKept
from app.ingest.metadata import ingest_metadata
from app.ingest.predictions import PREDICTION_COLUMNS
from app.ingest.steps import append_values
from app.query.inferences import Compared, inference_totals
from app.query.question import Question
from app.query.status import service_status
from app.query.steps import StepMetricFilter, list_values, step_metrics
from app.query.subjects import Selection
from app.query.window import Window
from app.rollup import retention, writers
from app.rollup.columnstore import set_columnstore_policies
from app.rollup.refresh import refresh
from app.rollup.retention import (
    _DROP_METRICS,
    _LOCK_EXECUTIONS,
    _LOCK_METRICS,
    delete_old_keys,
    drop_expired,
)
from app.store.copy import copy_rows
from app.store.database import Database
from app.store.registry import Kind, ModelName
from app.store.series import SeriesName
from app.upkeep.housekeeping import do_round
from tests.effort import examples
from tests.rollup.conftest import OUTCOME, new_series
from tests.rollup.plain import asked, differences, edges_of, raw_rows
from tests.servers import edition

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
KEEP = Settings(keep_raw_days=3, keep_fine_days=6, keep_asof_days=5)
REACH = text("""
    SELECT reached_edges, reached_as_of < CAST(:as_of AS timestamptz) AS held_back,
           nullif(reached_as_of, 'infinity') AS as_of
    FROM truthline_internal.reach('outcome', :series, truthline_internal.edges(
        CAST(:start AS timestamptz), CAST(:end AS timestamptz), CAST(:width AS interval),
        CAST(:origin AS timestamptz), 'UTC'), CAST(:as_of AS timestamptz))
""")


class Old:
    """A database of which a part was dropped, and all the rows that were there before."""

    def __init__(self, database, series, before, now):
        self.parts = (database, series, before, now)

    def __iter__(self):
        return iter(self.parts)


@pytest.fixture(scope="module")
def old(empty_database_url, template):
    """Ten days of outcomes, counted and then partly dropped; what they were is kept here."""
    database = Database.from_settings(Settings(database_url=empty_database_url(template)))
    now = datetime.now(UTC)
    series = new_series(database)
    dice = random.Random(7)
    received = sorted(now - dice.random() * 10 * DAY for _ in range(6000))
    rows = [
        (at, at - dice.random() ** 3 * 3 * DAY, dice.choice(series), dice.randint(1, 3),
         dice.randint(1, 3), 1, 0)
        for at in received
    ]  # fmt: skip
    with database.writing() as conn:
        copy_rows(conn, "outcome", OUTCOME, rows)
    refresh(database)
    with database.reading() as conn:
        before = raw_rows(conn, series)["outcome"]
    drop_expired(database, KEEP, now)
    yield Old(database, series, before, now)
    database.dispose()


def question(now, back, length, width=None, origin=None, as_of="infinity"):
    start = now - back
    return {"start": start, "end": start + length, "width": width, "origin": origin, "as_of": as_of}


def reached(conn, series, asked_for):
    row = conn.execute(REACH, asked_for | {"series": series}).one()
    return row.reached_edges, row.held_back, row.as_of


def plain_at(before, edges, as_of):
    """Cells of the rows that were there, between any edges."""
    cells = Counter()
    for row in before:
        known = as_of is None or row.received_at < as_of
        if known and edges[0] <= row.time < edges[-1]:
            place = bisect_right(edges, row.time)
            cells[place, row.predicted_label, row.actual_label] += row.weight
    return {key: [n] for key, n in cells.items() if n}


def test_old_rows_are_gone_and_their_cells_are_not(old):
    database, _, before, now = old
    with database.reading() as conn:
        left = conn.execute(text("SELECT min(received_at), count(*) FROM outcome")).one()
        kept = dict(map(tuple, conn.execute(text("SELECT relation, since FROM retention"))))
    assert left[0] >= now - 4 * DAY
    assert 0 < left[1] < len(before) / 2
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    assert kept["outcome"] == midnight - 3 * DAY
    assert kept["outcome_5m_1d"] == midnight - 6 * DAY
    assert kept["outcome_1h_1h"] == midnight - 5 * DAY


widths = st.sampled_from([None, 7 * MINUTE, HOUR, 90 * MINUTE, 6 * HOUR, DAY])
backs = st.builds(
    lambda hours, minutes, seconds: timedelta(hours=hours, minutes=minutes, seconds=seconds),
    st.integers(0, 13 * 24),
    st.sampled_from([0, 0, 5, 17, 31]),
    st.sampled_from([0, 0, 1, 22.000001]),
)
moments = st.one_of(st.just(None), st.none(), backs)


@examples(50, thorough=150)
@given(
    backs,
    st.sampled_from([HOUR, 5 * HOUR, DAY, 3 * DAY + 11 * MINUTE]),
    widths,
    st.sampled_from([None, datetime(1970, 1, 1, tzinfo=UTC)]),
    moments,
)
def test_an_answer_matches_the_question_that_it_states(old, back, length, width, origin, ago):
    """With its edges and its moment where `reach` puts them, it equals the rows that were there."""
    database, series, before, now = old
    hour = now.replace(minute=0, second=0, microsecond=0)
    as_of = "infinity" if ago is None else hour - ago
    asked_for = question(hour, back, length, width, origin, as_of)
    edges = edges_of(*(asked_for[name] for name in ("start", "end", "width", "origin")))

    with database.reading() as conn:
        found_edges, held_back, found_as_of = reached(conn, series, asked_for)
        answer = asked(conn, "outcome", series, asked_for)

    assert answer == plain_at(before, found_edges, found_as_of)
    for edge, found in zip(edges, found_edges, strict=True):
        assert (
            abs(edge - found) <= HOUR / 2 + 5 * MINUTE / 2
        )  # first in one cell, then in the other
    assert not held_back or as_of - found_as_of <= DAY


def test_whole_hours_stay_exact_and_what_is_recent_too(old):
    database, series, _, now = old
    hour = now.replace(minute=0, second=0, microsecond=0)
    whole = question(hour, 10 * DAY, 9 * DAY, 6 * HOUR, datetime(1970, 1, 1, tzinfo=UTC))
    recent = question(now, 2 * DAY, DAY, 7 * MINUTE)
    cut = question(hour, 8 * DAY + 17 * MINUTE, DAY)
    with database.reading() as conn:
        for exact in (whole, recent):
            edges, held_back, _ = reached(conn, series, exact)
            asked_edges = edges_of(*(exact[n] for n in ("start", "end", "width", "origin")))
            assert (edges, held_back) == (asked_edges, False)
        edges, _, _ = reached(conn, series, cut)
    assert edges[0] == hour - 8 * DAY  # an old edge moves to the hour next to it


def test_refreshing_again_erases_nothing(old):
    database, series, before, now = old
    hour = now.replace(minute=0, second=0, microsecond=0)
    everything = question(hour, 14 * DAY, 15 * DAY, HOUR)
    with database.reading() as conn:
        answer = asked(conn, "outcome", series, everything)
    assert sum(cell[0] for cell in answer.values()) == len(before)

    refresh(database)
    drop_expired(database, KEEP, now)

    with database.reading() as conn:
        assert asked(conn, "outcome", series, everything) == answer
        until = text("SELECT truthline_internal.clean_until('outcome_1h_1d')")
        clean = conn.execute(until).scalar_one()
    assert clean > now - 2 * DAY  # what was dropped holds no bound back


def test_nothing_goes_that_is_not_counted(own):
    (series, _), now = new_series(own), datetime.now(UTC)
    rows = [(now - 30 * DAY, now - 31 * DAY, series, 1, 1, 1, 0)]
    with own.writing() as conn:
        copy_rows(conn, "outcome", OUTCOME, rows)

    assert drop_expired(own, KEEP, now) == []

    refresh(own)
    assert {done.relation for done in drop_expired(own, KEEP, now)} >= {"outcome"}


def test_a_reader_still_counts_what_is_dropped_meanwhile(own):
    """Its snapshot says that nothing is missing, so nothing may be."""
    series, now = new_series(own), datetime.now(UTC)
    times = [now - n * HOUR for n in range(24, 240)]
    with own.writing() as conn:
        copy_rows(conn, "outcome", OUTCOME, [(t, t, series[0], 1, 1, 1, 0) for t in times])
    refresh(own)
    divided = question(now, 9 * DAY, 8 * DAY, timedelta(minutes=7))
    edges = edges_of(*(divided[name] for name in ("start", "end", "width", "origin")))
    with own.reading() as conn:
        before = asked(conn, "outcome", series, divided)
    with ThreadPoolExecutor(1) as pool:
        with own.reading() as conn:
            conn.execute(text("SELECT 1"))  # takes the snapshot, and no lock
            dropping = pool.submit(drop_expired, own, KEEP, now)
            time.sleep(1)
            assert asked(conn, "outcome", series, divided) == before
            assert reached(conn, series, divided)[0] == edges
        assert {done.relation for done in dropping.result()} >= {"outcome"}
    with own.reading() as conn:
        assert reached(conn, series, divided)[0] != edges


def test_dropped_cells_are_no_fault(own):
    series, now = new_series(own), datetime.now(UTC)
    times = [now - n * HOUR for n in range(24, 240)]
    with own.writing() as conn:
        copy_rows(conn, "outcome", OUTCOME, [(t, t, series[0], 1, 1, 1, 0) for t in times])
    refresh(own)

    assert len(drop_expired(own, KEEP, now)) > 2

    with own.reading() as conn:
        faults = text("SELECT count(*) FROM audit_fault")
        assert conn.execute(faults).scalar_one() == 0


def test_chunks_that_a_long_transaction_needs_are_dropped_in_a_later_round(own, monkeypatch):
    monkeypatch.setattr(writers, "TIME_LIMIT_SECONDS", 0.1)
    (series, _), now = new_series(own), datetime.now(UTC)
    old_row = [(now - 30 * DAY, now - 31 * DAY, series, 1, 1, 1, 0)]
    count = text("SELECT count(*) FROM outcome")
    with own.writing() as conn:
        copy_rows(conn, "outcome", OUTCOME, old_row)
    refresh(own)
    with own.reading() as conn:
        assert conn.execute(count).scalar_one() == 1
        drop_expired(own, KEEP, now)
        assert conn.execute(count).scalar_one() == 1

    drop_expired(own, KEEP, now)

    with own.reading() as conn:
        assert conn.execute(count).scalar_one() == 0


def test_old_keys_are_forgotten_some_at_a_time(own, monkeypatch):
    monkeypatch.setattr(retention, "MAX_KEYS", 2)
    insert = text("""
        INSERT INTO prediction_key (key, time, model_id, batch_index, series_id, predicted_label)
        VALUES (gen_random_uuid(), now() - make_interval(days => :days), 1, 0, 1, 1)
    """)
    with own.writing() as conn:
        conn.execute(insert, [{"days": days} for days in (1, 9, 11, 12, 13)])
        assert delete_old_keys(conn, Settings()) == 0
        deleted = [delete_old_keys(conn, Settings(keep_keys_days=10)) for _ in range(3)]
    assert deleted == [2, 1, 0]


AGED = text("""
    WITH metric AS (
        UPDATE step_metric SET created_at = step_metric.created_at - make_interval(days => :days),
                               received_at = received_at - make_interval(days => :days)
        FROM execution AS e, step_name AS n
        WHERE e.id = execution_id AND n.id = name_id AND (e.name, n.name) = (:execution, :name)
        RETURNING step_metric.id
    ), batch AS (  -- a row can't be updated into another chunk
        DELETE FROM step_batch WHERE metric_id IN (TABLE metric) RETURNING *
    )
    INSERT INTO step_batch (received_at, metric_id, place, values)
    SELECT received_at - make_interval(days => :days), metric_id, place, values FROM batch
""")
LEFT = text("""
    SELECT e.name, n.name FROM step_metric AS m
    JOIN execution AS e ON e.id = execution_id JOIN step_name AS n ON n.id = name_id
    ORDER BY 1, 2
""")
BATCHES = text("SELECT count(*), count(DISTINCT metric_id) FROM step_batch")


@pytest.fixture
def recorded(own):
    """Executions by the age of their metrics in days; each was recorded twice."""
    ages = {"old": {"a": 12, "b": 11}, "long": {"a": 99, "b": 9}, "new": {"a": 0}}
    for execution, metrics in ages.items():
        for name, days in metrics.items():
            for values in ([1.0, 2.0], [3.0]):
                append_values(own, 1, execution=execution, name=name, values=values)
            with own.writing() as conn:
                conn.execute(AGED, {"days": days, "execution": execution, "name": name})
    return own


def left(database):
    with database.reading() as conn:
        return [tuple(row) for row in conn.execute(LEFT)]


KEPT = [("long", "a"), ("long", "b"), ("new", "a")]
OLD = [("old", "a"), ("old", "b")]
IDLE_10 = Settings(keep_executions_days=10)


def dropped_since(database, settings=IDLE_10, now=None):
    found = drop_expired(database, settings, now or datetime.now(UTC))
    return [done.since for done in found if done.relation == "step_batch"]


def test_executions_go_whole_once_the_last_of_their_metrics_is_old(recorded):
    now = datetime.now(UTC)
    assert dropped_since(recorded, Settings(), now) == []
    (since,) = dropped_since(recorded, now=now)
    assert dropped_since(recorded, now=now) == []

    assert since == now.replace(hour=0, minute=0, second=0, microsecond=0) - 10 * DAY
    assert left(recorded) == KEPT
    with recorded.reading() as conn:
        assert tuple(conn.execute(BATCHES).one()) == (6, 3)
        assert dict(service_status(conn).retention) == {"step_batch": since}


@pytest.mark.skipif(edition() == "postgres", reason="there are no chunks without TimescaleDB")
def test_chunks_that_hold_nothing_any_more_go_too(recorded):
    insert = text("""
        INSERT INTO step_batch (received_at, metric_id, place, values)
        SELECT now() - INTERVAL '200 days', m.id, 9, '{1}' FROM step_metric AS m
        JOIN execution AS e ON e.id = execution_id WHERE e.name = 'old'
    """)
    chunks = text("SELECT count(*) FROM public.show_chunks('step_batch')")
    with recorded.writing() as conn:
        conn.execute(insert)
        before = conn.execute(chunks).scalar_one()
    assert dropped_since(recorded)
    with recorded.reading() as conn:
        assert conn.execute(chunks).scalar_one() == before - 1


def test_a_dropped_execution_can_start_again(recorded):
    do_round(recorded, IDLE_10)
    assert left(recorded) == KEPT
    append_values(recorded, 1, execution="old", name="a", values=[7.0])

    with recorded.glancing() as conn:
        page = step_metrics(
            conn,
            workspace_id=1,
            is_list=True,
            which=StepMetricFilter(execution="old"),
            size=9,
            offset=0,
        )
        assert [(m.name, m.n_values, m.value) for m in page.metrics] == [("a", 1, 7)]
        assert list_values(conn, page.metrics) == ["7"]


def test_a_list_that_was_dropped_after_its_page_was_made_is_empty(recorded):
    with recorded.glancing() as conn:
        page = step_metrics(
            conn, workspace_id=1, is_list=True, which=StepMetricFilter(), size=9, offset=0
        )
    assert dropped_since(recorded)
    with recorded.glancing() as conn:
        lists = dict(zip(page.metrics, list_values(conn, page.metrics), strict=True))

    assert {m.execution for m, values in lists.items() if not values} == {"old"}


RECORD = text("""
    INSERT INTO step_metric AS known (workspace_id, execution_id, name_id, is_list, n_values, value)
    SELECT 1, e.id, n.id, true, 1, 1 FROM execution AS e, step_name AS n
    WHERE (e.name, n.name) = ('old', :name)
    ON CONFLICT (execution_id, name_id, is_list) DO UPDATE SET received_at = clock_timestamp()
""")


@pytest.mark.parametrize(("name", "also"), [("a", []), ("c", [("old", "c")])])
def test_an_execution_that_is_recording_stays_whole(recorded, name, also):
    """One of its metrics, or a new one: the drop waits for the recording, and finds it."""
    recorded.steps.register_name(1, name)
    with ThreadPoolExecutor(1) as pool:
        with recorded.writing() as conn:
            conn.execute(RECORD, {"name": name})
            dropping = pool.submit(dropped_since, recorded)
            await_waiting(recorded)
        assert dropping.result(30)

    assert left(recorded) == KEPT + OLD + also


def test_a_recording_during_the_drop_of_its_execution_starts_it_again(recorded):
    with ThreadPoolExecutor(1) as pool:
        with recorded.writing() as conn:
            for statement in (_LOCK_EXECUTIONS, _LOCK_METRICS, _DROP_METRICS):
                conn.execute(statement, {"since": datetime.now(UTC) - 10 * DAY})
            named = {"execution": "old", "name": "a", "values": [7.0]}
            recording = pool.submit(append_values, recorded, 1, **named)
            await_waiting(recorded)
        recording.result(30)

    assert left(recorded) == [*KEPT, ("old", "a")]
    with recorded.reading() as conn:
        assert tuple(conn.execute(BATCHES).one()) == (7, 4)


def await_waiting(database):
    """Until a statement waits for a lock of another."""
    waiting = text("""
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'
    """)
    for _ in range(1000):
        with database.reading() as conn:
            if conn.execute(waiting).scalar_one():
                return
        time.sleep(0.01)
    raise AssertionError("nothing waits")


def test_the_columnstore_changes_no_answer(own):
    series, now, dice = new_series(own), datetime.now(UTC), random.Random(3)
    rows = [
        (at, at - dice.random() * DAY, dice.choice(series), 1, dice.randint(1, 3), 1, 0)
        for at in (now - dice.random() * 4 * DAY for _ in range(500))
    ]
    with own.writing() as conn:
        copy_rows(conn, "outcome", OUTCOME, rows)
    changed = set_columnstore_policies(own, Settings(columnstore_after_days=2))
    assert set_columnstore_policies(own, Settings(columnstore_after_days=2)) == []
    assert changed == (["outcome", "prediction"] if edition() == "community" else [])
    if changed:
        with own.writing() as conn:
            conn.exec_driver_sql(
                "SELECT public.compress_chunk(c) FROM public.show_chunks('outcome') AS c"
            )
    for precomputed in (False, True):
        if precomputed:
            refresh(own)
        with own.reading() as conn:
            for width in (7 * MINUTE, HOUR, None):
                asked_for = question(now, 3 * DAY, DAY + 11 * MINUTE, width)
                assert list(differences(conn, series, asked_for)) == []
    assert set_columnstore_policies(own, Settings(columnstore_after_days=0)) == changed


@pytest.mark.skipif(edition() != "community", reason="no other edition has a columnstore")
def test_a_first_round_does_not_deadlock_with_ingest(own):
    """Which stores predictions, and then their truths, in one transaction."""
    with ThreadPoolExecutor(1) as worker:
        with own.writing() as conn:
            conn.exec_driver_sql("LOCK TABLE prediction IN ROW EXCLUSIVE MODE")
            policies = worker.submit(set_columnstore_policies, own, Settings())
            await_waiting(own)
            conn.exec_driver_sql("LOCK TABLE outcome IN ROW EXCLUSIVE MODE")
        assert policies.result(30) == ["outcome", "prediction"]


@pytest.mark.parametrize(
    ("days", "said"),
    [
        ({"keep_fine_days": 3}, "KEEP_FINE_DAYS must be no less than TRUTHLINE_KEEP_RAW_DAYS"),
        ({"keep_raw_days": 9, "keep_fine_days": 3}, "KEEP_FINE_DAYS must be no less"),
        ({"keep_raw_days": -1}, "TRUTHLINE_KEEP_RAW_DAYS must be 0 to 36500"),
        ({"columnstore_after_days": 10**6}, "COLUMNSTORE_AFTER_DAYS must be 0 to 36500"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(days, said):
    with pytest.raises(ValueError, match=said):
        Settings(**days)


PREDICTED = {"received_at": "timestamptz"} | PREDICTION_COLUMNS


@pytest.fixture
def described(own):
    """An inference per hour of ten days, each with metadata; those of seven days are dropped."""
    now = datetime.now(UTC)
    name = ModelName("", "", "cameras")
    model = own.registry.register_models(1, {name: Kind.CLASSIFICATION})[name]
    [series] = own.registry.series.register([SeriesName(model.id, "", "", "", "")]).values()
    times = [now - 10 * DAY + n * HOUR for n in range(240)]
    rows = [
        (at, at, series, None, None, 0.5, None, True, True, False, f"r{n}", 0)
        for n, at in enumerate(times)
    ]
    with own.writing() as conn:
        copy_rows(conn, "prediction", PREDICTED, rows)
    ingest_metadata(own, 1, {("camera", f"r{n}"): "north" for n in range(240)})
    refresh(own)
    drop_expired(own, Settings(keep_raw_days=3), now)
    return now


def test_a_query_by_metadata_is_refused_where_rows_are_gone(own, described):
    def counted(since, until=timedelta(0)):
        window = Window(described - since, described - until)
        with own.reading() as conn:
            asked = Question(1, Selection(field="camera", value="north"), window)
            return inference_totals(conn, asked).inferences

    with pytest.raises(NotKept, match="metadata is joined with rows"):
        counted(10 * DAY)
    with pytest.raises(NotKept, match="metadata is joined with rows"):
        counted(2 * DAY)  # the preceding two days reach into what is gone
    assert counted(12 * HOUR) == Compared(now=12, previous=12)


def test_levels_that_can_not_be_computed_again_are_not_dropped(own, described):
    with pytest.raises(OperationalError, match="retention has dropped"), own.engine.begin() as conn:
        conn.execute(text("CALL drop_levels()"))
