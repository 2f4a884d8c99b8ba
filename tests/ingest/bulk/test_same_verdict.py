"""A bulk body and its rows one by one: the same verdict, the same reasons, the same stored rows."""

import itertools
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import RowError
from app.ingest import feedback
from app.ingest.bulk.checked import PREDICTIONS, TRUTHS
from app.ingest.bulk.formats import ARROW, NDJSON
from app.ingest.feedback import ingest_feedback
from app.ingest.inferences import Prediction
from app.ingest.models import kind_conflicts
from app.ingest.partial_batches import ingest_valid_rows
from app.ingest.strict_json import decode
from app.ingest.validation_errors import UNREADABLE, rejection_of
from tests.conftest import find_or_create_workspace
from tests.effort import examples
from tests.ingest.bulk.told import (
    arrow,
    bulk,
    counts,
    ndjson,
    reasons,
    stored,
)

_numbers = itertools.count()
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
FUTURE = datetime(2900, 1, 1, tzinfo=UTC)
LONG = "x" * 201

names = st.sampled_from(["m", "n", "", "é" * 200, LONG, "a\0b"])
ids = st.sampled_from(["r1", "r2", "r3", "", "ü" * 150, "z" * 201, "nul\0"])
fractions = st.sampled_from([0.0, -0.0, 0.25, 0.5, 1.0, 1.000011, -0.00001, 1.2, -1.0])
numbers = st.sampled_from([0.0, -0.0, 1.5, -1e100, 1e101, 5e-324])
times = st.sampled_from(
    [NOW, NOW + timedelta(microseconds=1), datetime(1969, 1, 1, tzinfo=UTC), FUTURE]
)
# Of each member: values of one type, as a column has them.
MEMBERS = {
    "namespace": [names],
    "version": [st.sampled_from(["v1", "v2"]), names],
    "deployment": [names],
    "requestId": [ids, st.sampled_from(["r1", "r2", "r3"]), st.integers(1, 3)],
    "batchIndex": [
        st.integers(0, 2),
        st.sampled_from([-1, 0, 2**31 - 1, 2**31]),
        st.sampled_from([1.0, 0.5]),
    ],
    "label": [
        st.sampled_from(["a", "b"]),
        names,
        st.integers(-1, 2),
        st.booleans(),
        st.sampled_from([1.0, 2.5, 1e300]),
    ],
    "confidence": [fractions, st.integers(0, 2), st.booleans(), st.just("0.5")],
    "value": [numbers, st.integers(-2, 2), st.sampled_from(["1", "x"])],
    "latencySeconds": [numbers],
    "error": [st.booleans(), st.integers(0, 1)],
    "time": [
        times,
        st.sampled_from(["2026-03-01T10:00:00Z", "2026-03-01T10:00:00.1234567+02:00"]),
        st.sampled_from(["2026-03-01 10:00:00Z", "2026-13-01T10:00:00Z", "x"]),
    ],
    "scores": [
        st.dictionaries(st.sampled_from(["a", "b", "c"]), fractions, max_size=3),
        st.fixed_dictionaries({"a": fractions, "b": fractions}),
        st.dictionaries(names, st.just(0.5), max_size=2),
    ],
    "tags": [
        st.dictionaries(st.sampled_from(["k", "l", "a:b"]), names, max_size=2),
        st.fixed_dictionaries({"k": st.sampled_from(["1", "2"])}),
    ],
    "detections": [
        st.lists(st.fixed_dictionaries({"label": names, "confidence": fractions}), max_size=2)
    ],
}
TYPES = {
    "scores": pa.map_(pa.string(), pa.float64()),
    "tags": pa.map_(pa.string(), pa.string()),
    "detections": pa.list_(pa.struct([("label", pa.string()), ("confidence", pa.float64())])),
}
TRUTH_MEMBERS = ("namespace", "requestId", "batchIndex", "label", "value")


@st.composite
def columns(draw, members):
    """Some members, each with values of one type, and with some skipped."""
    number = draw(st.integers(1, 6))
    chosen = draw(st.lists(st.sampled_from(members), unique=True, max_size=5))
    of_each = {"model": st.sampled_from(["m", "n"])} | {
        name: draw(st.sampled_from(MEMBERS[name])) for name in chosen
    }
    if draw(st.booleans()):
        of_each["model"] = names
    return {
        name: draw(st.lists(st.none() | values, min_size=number, max_size=number))
        for name, values in of_each.items()
    }


def rows_of(table):
    """The same as rows; a missing value is a missing member."""
    return [
        {n: said(v) for n, v in zip(table, values, strict=True) if v is not None}
        for values in zip(*table.values(), strict=True)
    ]


def said(value):
    if isinstance(value, list):  # members in the order of Arrow's, in which errors are found
        return [{name: each[name] for name in ("label", "confidence")} for each in value]
    return value.isoformat() if isinstance(value, datetime) else value


def arrays(table):
    return pa.table({name: pa.array(values, TYPES.get(name)) for name, values in table.items()})


def spread(table):
    """With a column for each score and tag."""
    spread = {}
    for name, values in table.items():
        prefix = {"scores": "score_", "tags": "tag_"}.get(name)
        if prefix is None:
            spread[name] = values
            continue
        keys = sorted({key for value in values if value for key in value})
        spread |= {prefix + k: [v.get(k) if v else None for v in values] for k in keys}
    return spread


def without_empty(table):
    """In columns of their own, no scores are the same as empty ones; the order is theirs."""
    return {
        name: [dict(sorted(v.items())) if v else None for v in values]
        if name in ("scores", "tags")
        else values
        for name, values in table.items()
    }


@pytest.fixture
def workspaces(database):
    """Makes workspaces; each has names of its own."""

    def make():
        with database.writing() as conn:
            return find_or_create_workspace(conn, f"same-{next(_numbers)}-{id(database)}")

    return make


def one_by_one(database, workspace_id, rows, kind):
    """The verdict on rows that are read and checked by themselves."""
    read, errors = [], []
    for index, row in enumerate(rows):
        try:
            parsed = decode(ndjson([row]).strip(), kind)
        except UNREADABLE as error:
            errors.append(RowError(index, *rejection_of(error)))
        else:
            read.append((index, parsed))
    valid = [row for _, row in read]
    if kind is Prediction:
        verdict, more = ingest_valid_rows(database, workspace_id, valid)
    else:
        verdict, more = ingest_valid_truths(database, workspace_id, valid)
    errors += [RowError(read[e.index][0], e.field, e.reason) for e in more]
    return (verdict.accepted, verdict.duplicates, verdict.pending, len(errors)), sorted(
        reasons(errors)
    )


def ingest_valid_truths(database, workspace_id, truths):
    errors = [e for index, row in enumerate(truths) if (e := feedback.check(index, row))]
    valid = [(i, row) for i, row in enumerate(truths) if i not in {e.index for e in errors}]
    declared = [feedback.declared_kind_of(row) for _, row in valid]
    conflicts = list(kind_conflicts(database.registry, workspace_id, declared))
    odd = {valid[e.index][0] for e in conflicts}
    errors += [RowError(valid[e.index][0], e.field, e.reason) for e in conflicts]
    return (
        ingest_feedback(database, workspace_id, [row for i, row in valid if i not in odd]),
        errors,
    )


def assert_same(database, workspaces, table, bodies, kind=PREDICTIONS):
    one, rows = workspaces(), rows_of(table)
    expected = one_by_one(database, one, rows, kind.row_type)
    for media_type, body in bodies:
        other = workspaces()
        verdict = bulk(database, other, media_type, body, kind)
        assert (counts(verdict), sorted(reasons(verdict.errors))) == expected, media_type
        assert stored(database, other) == stored(database, one), media_type


@examples(40, thorough=600)
@given(table=columns(sorted(MEMBERS)))
def test_predictions(database, workspaces, table):
    table["time"] = [t or NOW for t in table.get("time", [None] * len(table["model"]))]
    bodies = [(NDJSON, ndjson(rows_of(table)))]
    try:
        columns = arrays(table)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # NOW next to texts
        columns = arrays(table | {"time": [said(t) for t in table["time"]]})
    bodies.append((ARROW, arrow(columns)))

    assert_same(database, workspaces, table, bodies)


@examples(15, thorough=300)
@given(table=columns(sorted(MEMBERS.keys() - {"detections"})))
def test_scores_and_tags_in_columns_of_their_own(database, workspaces, table):
    table = without_empty(table) | {"time": [NOW] * len(table["model"])}
    try:
        columns = arrays(spread(table))
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return

    assert_same(database, workspaces, table, [(ARROW, arrow(columns))])


@examples(25, thorough=300)
@given(table=columns(TRUTH_MEMBERS))
def test_truths(database, workspaces, table):
    bodies = [(NDJSON, ndjson(rows_of(table))), (ARROW, arrow(arrays(table)))]

    assert_same(database, workspaces, table, bodies, TRUTHS)
