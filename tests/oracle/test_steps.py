"""Step metrics against plain Python lists, step by step, with writers that race.

The model keeps every recording with its place in the order that the database settled. Hypothesis
plays recordings, appends that start at the same moment, and questions as of earlier moments.
"""

import itertools
import math
from collections import Counter
from datetime import timedelta
from fractions import Fraction
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from app.errors import ListFull, UnknownStepMetric
from app.ingest import steps as ingest
from app.ingest.batch import BatchKey
from app.ingest.executions import ExecutionUpdate, update_execution
from app.query.question import Question
from app.query.steps import (
    StepMetricFilter,
    list_values,
    over_executions,
    over_time,
    step_metrics,
    values_of,
)
from app.query.window import Window
from tests.doubles import LEAST, nasty, nearest
from tests.ingest.crowd import at_once
from tests.oracle.plain import new_name

LIMIT = 12  # of a list; small, so that many are full
ALL = {"size": 1000, "offset": 0}
SECOND = timedelta(seconds=1)

executions = st.sampled_from(["e0", "e1", "e2"])
names = st.sampled_from(["loss", "a/b"])
values = st.one_of(nasty(), st.sampled_from([0.0, 1.0]))
batches = st.lists(values, min_size=1, max_size=5)


class Steps(RuleBasedStateMachine):
    """After each recording, all reads agree with the model."""

    def __init__(self, database, workspace_id):
        super().__init__()
        self.database, self.workspace_id = database, workspace_id
        self.prefix = str(new_name())  # names of this run's own, in a workspace shared by all runs
        self.recorded = {}  # (is_list, execution, name) -> batches, in order
        self.pipelines = {}
        self.keys = []  # of appends that are stored
        self.moments = [(self._now(), {})]  # a moment, and what was recorded before it

    def _named(self, name):
        return f"{self.prefix}-{name}"

    def _now(self):
        with self.database.reading() as conn:
            return conn.execute(text("SELECT clock_timestamp()")).scalar_one()

    # --- what is done ------------------------------------------------------------------------

    @rule(execution=executions, name=names, value=values)
    def record(self, execution, name, value):
        self._record(execution, name, value)
        self.recorded.setdefault((False, execution, name), []).append([value])

    @rule(execution=executions, name=names, batch=batches)
    def append(self, execution, name, batch):
        kept = self.recorded.setdefault((True, execution, name), [])
        stored = sum(map(len, kept))
        if stored + len(batch) <= LIMIT:
            self._append(execution, name, batch)
            kept.append(batch)
        else:
            with pytest.raises(ListFull, match=f"the list has {stored} values"):
                self._append(execution, name, batch)

    @rule(execution=executions, name=names, crowd=st.lists(batches, min_size=2, max_size=5))
    def append_at_once(self, execution, name, crowd):
        """The race decides which of them fit: what is reported as stored must be stored."""
        kept = self.recorded.setdefault((True, execution, name), [])
        told = at_once(*(partial(self._tried, execution, name, batch) for batch in crowd))
        new = self._batches((True, execution, name))[len(kept) :]
        assert Counter(map(tuple, new)) == Counter(map(tuple, filter(None, told)))
        room = LIMIT - sum(map(len, kept + new))
        assert all(len(batch) > room for batch, ok in zip(crowd, told, strict=True) if not ok)
        kept.extend(new)

    @rule(execution=executions, name=names, batch=batches, tries=st.integers(2, 4))
    def append_under_one_key(self, execution, name, batch, tries):
        """A client that tries again while its first try is still at work."""
        kept = self.recorded.setdefault((True, execution, name), [])
        fits = sum(map(len, kept)) + len(batch) <= LIMIT
        key = BatchKey("list-values", str(new_name()), b"")
        told = at_once(*[partial(self._tried, execution, name, batch, key)] * tries)
        assert told == [batch if fits else None] * tries
        if fits:
            self.keys.append((key, execution, name, batch))
            kept.append(batch)

    @precondition(lambda self: self.keys)
    @rule(data=st.data())
    def append_again_later(self, data):
        key, execution, name, batch = data.draw(st.sampled_from(self.keys))
        assert self._tried(execution, name, batch, key) == batch

    @rule(execution=executions, name=names, crowd=st.lists(values, min_size=2, max_size=4))
    def record_at_once(self, execution, name, crowd):
        kept = self.recorded.setdefault((False, execution, name), [])
        at_once(*(partial(self._record, execution, name, value) for value in crowd))
        new = self._batches((False, execution, name))[len(kept) :]
        assert Counter(map(tuple, new)) == Counter((value,) for value in crowd)
        kept.extend(new)

    @rule(execution=executions, pipeline=st.sampled_from(["p", "q"]))
    def tell(self, execution, pipeline):
        told = ExecutionUpdate(pipeline=self._named(pipeline))
        update_execution(self.database, self.workspace_id, self._named(execution), told)
        self.pipelines[execution] = self._named(pipeline)

    @rule()
    def remember(self):
        before = {key: [list(b) for b in kept] for key, kept in self.recorded.items() if kept}
        self.moments.append((self._now(), before))

    def _record(self, execution, name, value):
        named = {"execution": self._named(execution), "name": self._named(name)}
        ingest.record_value(self.database, self.workspace_id, value=value, **named)

    def _append(self, execution, name, batch, key=None):
        named = {"execution": self._named(execution), "name": self._named(name)}
        ingest.append_values(self.database, self.workspace_id, values=batch, batch=key, **named)

    def _tried(self, execution, name, batch, key=None):
        """The batch if it was stored, None if it was refused."""
        try:
            self._append(execution, name, batch, key)
        except ListFull:
            return None
        return batch

    def _batches(self, key):
        """What is stored of a metric, recording by recording."""
        is_list, execution, name = key
        parameters = {"workspace": self.workspace_id, "is_list": is_list}
        parameters |= {"execution": self._named(execution), "name": self._named(name)}
        with self.database.reading() as conn:
            return [list(row.values) for row in conn.execute(BATCHES, parameters)]

    # --- what must hold ----------------------------------------------------------------------

    @invariant()
    def metrics_stand_as_recorded(self):
        for is_list in (False, True):
            for name in ("loss", "a/b"):
                kept = {
                    k[1]: b for k, b in self.recorded.items() if b and k[::2] == (is_list, name)
                }
                with self.database.glancing() as conn:
                    which = StepMetricFilter(name=self._named(name))
                    page = self._ask(step_metrics, conn, is_list, which, **ALL)
                    lists = list_values(conn, page.metrics)
                assert page.total == len(page.metrics) == len(kept)
                for metric, written in zip(page.metrics, lists, strict=True):
                    execution = metric.execution.removeprefix(f"{self.prefix}-")
                    flat = list(itertools.chain(*kept[execution]))
                    assert (metric.n_values, metric.value) == (len(flat), flat[-1])
                    assert metric.pipeline == self.pipelines.get(execution, "")
                    assert [float(n) for n in written.split(",")] == flat

    @rule(data=st.data(), is_list=st.booleans(), name=names)
    def ask_as_of_a_moment(self, data, is_list, name):
        moment, before = data.draw(st.sampled_from(self.moments))
        kept = {k[1]: b for k, b in before.items() if k[::2] == (is_list, name)}
        expected = {self._named(e): list(itertools.chain(*b)) for e, b in kept.items()}
        with self.database.reading() as conn:
            try:
                which = StepMetricFilter(name=self._named(name))
                page = self._ask(over_executions, conn, is_list, which, as_of=moment, **ALL)
            except UnknownStepMetric:
                assert not any(self.recorded.get((is_list, e, name)) for e in ("e0", "e1", "e2"))
                return
        assert page.total == len(page.executions) == len(expected)
        for one in page.executions:
            assert_summary(one, expected[one.execution])

    @rule(data=st.data(), is_list=st.booleans(), name=names)
    def ask_between_moments(self, data, is_list, name):
        """What was recorded from one moment to the next is in the bucket between them."""
        (start, before), (end, after) = sorted(
            data.draw(st.lists(st.sampled_from(self.moments), min_size=2, max_size=2)),
            key=lambda moment: moment[0],
        )
        if start == end:
            return
        with self.database.reading() as conn:
            try:
                which = StepMetricFilter(name=self._named(name))
                question = Question(self.workspace_id, which, Window(start, end))
                [bucket] = over_time(conn, question, is_list=is_list)
            except UnknownStepMetric:
                return
        new = []
        for key, kept in after.items():
            if key[::2] == (is_list, name):
                new.extend(itertools.chain(*kept[len(before.get(key, [])) :]))
        assert_summary(bucket, new, ordered=False)

    @rule(execution=executions, name=names, offset=st.integers(0, 14), size=st.integers(1, 6))
    def slice_a_list(self, execution, name, offset, size):
        for is_list in (False, True):
            flat = list(itertools.chain(*self.recorded.get((is_list, execution, name), [])))
            which = StepMetricFilter(name=self._named(name), execution=self._named(execution))
            with self.database.reading() as conn:
                if not flat:
                    with pytest.raises(UnknownStepMetric):
                        self._ask(values_of, conn, is_list, which, size=size, offset=offset)
                    continue
                found = self._ask(values_of, conn, is_list, which, size=size, offset=offset)
            assert (found.values, found.total) == (flat[offset : offset + size], len(flat))

    def _ask(self, question, conn, is_list, which, **more):
        return question(conn, workspace_id=self.workspace_id, is_list=is_list, which=which, **more)


def assert_summary(found, expected, *, ordered=True):
    """Number, mean, bounds and last of some values; across executions the last is one of them."""
    assert found.n == len(expected)
    if not expected:
        assert (found.mean, found.minimum, found.maximum, found.last) == (None,) * 4
        return
    mean = nearest(sum(map(Fraction, expected)) / len(expected))
    tolerance = max(1e-14 * max(map(abs, expected)), 2 * LEAST)
    assert math.isclose(found.mean, mean, rel_tol=1e-14, abs_tol=tolerance)
    assert (found.minimum, found.maximum) == (min(expected), max(expected))
    assert found.last == expected[-1] if ordered else found.last in expected


BATCHES = text("""
    SELECT batch.values FROM step_batch AS batch
    JOIN truthline_internal.step_metrics(:workspace) AS metric ON metric.id = batch.metric_id
    WHERE metric.is_list = :is_list AND metric.execution = :execution AND metric.name = :name
    ORDER BY batch.received_at
""")


def test_step_metrics_agree_with_plain_lists(database, workspace, monkeypatch):
    monkeypatch.setattr(ingest, "MAX_LIST_LENGTH", LIMIT)

    run_state_machine_as_test(
        lambda: Steps(database, workspace.id),
        settings=settings(max_examples=10, stateful_step_count=20),
    )
