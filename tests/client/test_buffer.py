"""The buffer compared with a plain list: order, bounds, and counts that add up."""

from dataclasses import astuple

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from truthline.batch import Batch
from truthline.buffer import ROW_OVERHEAD, Buffer
from truthline.errors import InvalidRows, Refused, RowProblem, TooLarge

rows = st.binary(max_size=40)


def weight(waiting):
    return sum(len(row) + ROW_OVERHEAD for row in waiting)


class Model(RuleBasedStateMachine):
    """What waits is a suffix of what was logged and not taken."""

    @initialize(max_rows=st.integers(1, 8), max_bytes=st.integers(1, 600))
    def begin(self, max_rows, max_bytes):
        self.buffer = Buffer(max_rows=max_rows, max_bytes=max_bytes)
        self.waiting, self.taken = [], []
        self.logged = self.sent = self.dropped = self.refused = 0

    @rule(row=rows)
    def put(self, row):
        self.logged += 1
        self.waiting.append(row)
        before = self.dropped
        while len(self.waiting) > self.buffer.max_rows or weight(self.waiting) > (
            self.buffer.max_bytes
        ):
            self.waiting.pop(0)
            self.dropped += 1
        assert self.buffer.put(row) == self.dropped - before

    @rule(max_rows=st.integers(1, 5), max_bytes=st.integers(1, 200))
    def take(self, max_rows, max_bytes):
        taken = self.buffer.take(max_rows=max_rows, max_bytes=max_bytes)
        assert taken == self.waiting[: len(taken)]
        assert len(taken) <= max_rows
        assert len(taken) <= 1 or len(b"\n".join(taken)) < max_bytes
        assert taken or not self.waiting
        del self.waiting[: len(taken)]
        self.taken += taken

    @rule(data=st.data())
    def settle(self, data):
        sent = data.draw(st.integers(0, len(self.taken)))
        refused = data.draw(st.integers(0, len(self.taken) - sent))
        self.buffer.settle(sent=sent, refused=refused)
        del self.taken[: sent + refused]
        self.sent += sent
        self.refused += refused

    @rule()
    def refuse(self):
        self.buffer.refuse()
        self.logged += 1
        self.refused += 1

    @rule()
    def abandon(self):
        self.dropped += len(self.waiting) + len(self.taken)
        assert self.buffer.abandon() == len(self.waiting) + len(self.taken)
        self.waiting, self.taken = [], []

    @invariant()
    def adds_up(self):
        if not hasattr(self, "buffer"):
            return
        queued = len(self.waiting) + len(self.taken)
        counts = self.buffer.counts
        assert astuple(counts) == (self.logged, queued, self.sent, self.dropped, self.refused)
        assert counts.logged == counts.queued + counts.sent + counts.dropped + counts.refused
        assert self.buffer.bytes == weight(self.waiting) <= self.buffer.max_bytes
        assert len(self.buffer) == len(self.waiting) <= self.buffer.max_rows
        assert self.buffer.idle == (not queued)


TestBuffer = Model.TestCase
TestBuffer.settings = settings(max_examples=60, stateful_step_count=30)


# --- what is left of a refused batch ----------------------------------------------------------


class Judge:
    """Refuses batches with bad rows, and names up to `names` of them; 0: it names none."""

    def __init__(self, bad, names):
        self.bad, self.names = bad, names
        self.stored, self.asked = [], 0

    def take(self, batch):
        self.asked += 1
        bad = [n for n, row in enumerate(batch.rows) if row in self.bad]
        if not bad:
            self.stored += batch.rows
            return None
        if not self.names:
            return TooLarge("too large", status=413)
        problems = [RowProblem(n, "", "is bad") for n in bad[: self.names]]
        return InvalidRows(Refused("invalid rows", status=422), problems)


def deliver(rows, server):
    """Send rows, and what is left of them; how many were refused."""
    work, refused = [Batch(rows)], 0
    while work:
        batch = work.pop(0)
        if error := server.take(batch):
            rest = batch.without_refused(error)
            assert len(batch.rows) == rest.refused + sum(len(b.rows) for b in rest.batches)
            assert all(part.key != batch.key for part in rest.batches)
            work[:0] = rest.batches
            refused += rest.refused
    return refused


@settings(max_examples=60)
@given(flags=st.lists(st.booleans(), min_size=1, max_size=300), names=st.sampled_from([0, 1, 100]))
def test_just_the_bad_rows_are_refused(flags, names):
    rows = [b"%d" % number for number in range(len(flags))]
    bad = {row for row, flag in zip(rows, flags, strict=True) if flag}
    server = Judge(bad, names)

    assert deliver(rows, server) == len(bad)
    assert server.stored == [row for row in rows if row not in bad]


def test_a_hundred_named_rows_at_a_time_are_found_in_few_requests():
    rows = [b"%d" % number for number in range(5_000)]
    server = Judge(set(rows), names=100)

    assert deliver(rows, server) == 5_000
    assert server.asked < 130
