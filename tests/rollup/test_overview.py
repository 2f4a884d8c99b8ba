"""Every number of the overview is that of plain Python over the same rows, of both periods and of
each part of the window, whatever part of the rows is in levels."""

import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from app.auth.workspaces import find_or_create_workspace
from app.errors import InvalidWindow
from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.predictions import Prediction, ingest_predictions
from app.query.noise import Errors, Share, difference_of_errors, difference_of_shares
from app.query.overview import overview
from app.query.question import Question
from app.query.subjects import ALL
from app.query.window import Grid, Window, fixed_grid
from app.rollup.refresh import refresh
from tests.doubles import counted, seconds, taken
from tests.effort import examples

START = datetime(2026, 3, 1, 11, 37, 22, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
HOURLY = fixed_grid(timedelta(hours=1), "UTC")
MODELS = {
    "cards": st.sampled_from(["a", "b"]),
    "hats": st.just("a"),
    "price": st.one_of(st.sampled_from([1.0, 2.5, -3.0]), taken),
}
lengths = st.sampled_from(
    [timedelta(hours=5, seconds=3, microseconds=5), timedelta(hours=2), 7 * MICROSECOND]
)
grids = st.tuples(
    st.sampled_from([1, 2, 3, 24]), st.sampled_from([None, START - timedelta(hours=9)])
)


@st.composite
def rows(draw, min_size=0):
    """(model, where in both periods from 0 to 1, prediction, truths in order, latency, failed)."""
    model = st.sampled_from(sorted(MODELS))
    answer = model.flatmap(
        lambda name: st.tuples(
            st.just(name),
            st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1)),
            MODELS[name],
            st.lists(MODELS[name], max_size=2),
            st.one_of(st.none(), st.sampled_from([0.125, 0.5]), seconds),
            st.sampled_from([False, False, False, True]),
        )
    )
    return draw(st.lists(answer, min_size=min_size, max_size=40))


def predictions_of(told, length):
    before = START - length
    for number, (model, share, answer, _, latency, failed) in enumerate(told):
        output = "value" if model == "price" else "label"
        yield Prediction(
            model=model,
            request_id=str(number),
            time=before + 2 * length * share,
            latency_seconds=latency,
            error=failed,
            **({} if failed else {output: answer}),
        )


def truths_of(told):
    for number, (model, _, _, truths, _, failed) in enumerate(told):
        for truth in () if failed else truths:
            output = "value" if model == "price" else "label"
            yield Feedback(model=model, request_id=str(number), **{output: truth})


class Part:
    """What some rows of one model come to, by plain Python."""

    def __init__(self, model, told):
        answered = [row for row in told if not row[5]]
        pairs = [(row[2], row[3][-1]) for row in answered if row[3]]
        latencies = [counted(row[4]) for row in told if row[4] is not None]
        self.inferences, self.errors = len(answered), len(told) - len(answered)
        self.latency = float(sum(latencies) / len(latencies)) if latencies else None
        self.truths = len(pairs)
        self.requests = Share(self.errors, len(told))
        if model == "price":
            far = [abs(Fraction(p) - Fraction(t)) for p, t in pairs]
            self.judged = Errors(len(far), sum(far), sum(e**2 for e in far))
            self.headline = float(sum(far) / len(far)) if far else None
        else:
            self.judged = Share(sum(p == t for p, t in pairs), len(pairs))
            self.headline = self.judged.hits / len(pairs) if pairs else None


def within(told, length, start, end):
    before = START - length
    return [row for row in told if start <= before + 2 * length * row[1] < end]


def agree(found, expected):
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=1e-12, abs_tol=1e-149)  # below, errors are 0


def same(found, expected):
    """The same interval, or none."""
    if found is None or expected is None:
        return found is expected
    return agree(found.low, expected.low) and agree(found.high, expected.high)


def grid_of(length, n_parts, origin):
    """Buckets of an n-th of the window."""
    return Grid(-(-length // MICROSECOND // n_parts) * MICROSECOND, origin)


def edges_of(length, grid):
    """Where its buckets begin, and the end of the last."""
    place = grid.origin or START
    place += (START - place) // grid.width * grid.width
    yield START
    while (place := place + grid.width) < START + length:
        yield place
    yield START + length


def check(found, told, length, grid):
    edges = list(edges_of(length, grid))
    for one in found:
        own = [row for row in told if row[0] == one.name.name]
        now = Part(one.name.name, within(own, length, START, START + length))
        before = Part(one.name.name, within(own, length, START - length, START))
        for name in ("inferences", "errors", "latency", "truths", "headline"):
            pair = getattr(one, name)
            assert agree(pair.now, getattr(now, name)), name
            assert agree(pair.previous, getattr(before, name)), name
        differs = difference_of_errors if one.name.name == "price" else difference_of_shares
        assert same(one.headline_change, differs(now.judged, before.judged))
        assert same(one.failure_change, difference_of_shares(now.requests, before.requests))
        cut = [Part(one.name.name, within(own, length, *pair)) for pair in pairwise(edges)]
        assert len(one.bucket_headlines) == len(cut)
        assert all(map(agree, one.bucket_headlines, [part.headline for part in cut]))
    assert {one.name.name for one in found} == {row[0] for row in told}
    busy = [one.inferences.now + one.inferences.previous for one in found]
    assert busy == sorted(busy, reverse=True)


def tell(database, workspace_id, told, length):
    if sent := list(predictions_of(told, length)):
        ingest_predictions(database, workspace_id, sent)
    for truth in truths_of(told):
        ingest_feedback(database, workspace_id, [truth])


def new_workspace(database):
    with database.writing() as conn:
        return find_or_create_workspace(conn, uuid4().hex)


def ask(database, workspace_id, length, grid=HOURLY):
    window = Window(START, START + length)
    with database.reading() as conn:
        return overview(conn, Question(workspace_id, ALL, window, grid))


@examples(8, thorough=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows(), lengths, grids)
def test_every_number_is_that_of_plain_python(database, told, length, cut):
    grid = grid_of(length, *cut)
    workspace_id = new_workspace(database)
    tell(database, workspace_id, told, length)

    check(ask(database, workspace_id, length, grid), told, length, grid)


def test_so_is_what_levels_hold(brisk):
    @settings(max_examples=2, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(rows(min_size=25), lengths, grids)
    def hold(told, length, cut):
        grid = grid_of(length, *cut)
        workspace_id = new_workspace(brisk)
        tell(brisk, workspace_id, told, length)
        refresh(brisk)
        check(ask(brisk, workspace_id, length, grid), told, length, grid)

    hold()


def test_it_is_one_statement_however_many_models_there_are(database):
    workspace_id = new_workspace(database)
    many = [Prediction(model=f"m{n}", time=START, label="a") for n in range(30)]
    ingest_predictions(database, workspace_id, many)
    sent = []

    def note(_conn, _cursor, statement, *_):
        sent.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        found = ask(database, workspace_id, timedelta(hours=1))
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    assert len(found) == 30
    assert len(sent) == 1


def test_a_neighbours_models_are_not_in_it(database):
    mine, other = new_workspace(database), new_workspace(database)
    ingest_predictions(database, mine, [Prediction(model="m", time=START, label="a")])

    assert ask(database, other, timedelta(hours=1)) == []


def test_a_window_without_one_before_it_is_refused(database):
    window = Window(datetime(1, 1, 2, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC))
    with database.reading() as conn, pytest.raises(InvalidWindow):
        overview(conn, Question(1, ALL, window, HOURLY))


def test_a_change_has_the_interval_of_its_sums(database):
    """Each third class is wrong after one in ten was; errors are 2 and 3 after 1 and 2."""
    told = [
        (model, half / 2 + n / 200, answer, [truth], None, n % (20 - 15 * half) == 0)
        for half in (0, 1)
        for n in range(90)
        for model, answer, truth in (
            ("cards", "a", "b" if n % (10 - 7 * half) == 1 else "a"),
            ("price", 5.0, 5.0 + half + 1 + n % 2),
        )
    ]
    length = timedelta(hours=2)
    workspace_id = new_workspace(database)
    tell(database, workspace_id, told, length)

    found = ask(database, workspace_id, length, grid := grid_of(length, 2, None))
    check(found, told, length, grid)
    cards, price = sorted(found, key=lambda one: one.name.name)
    assert cards.headline_change.high < 0 < price.headline_change.low
    assert cards.failure_change.low > 0
