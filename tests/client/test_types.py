"""Values of Python's types and of its libraries: taken by a rule, or refused by row and field."""

import datetime as dt
import enum
import json
import uuid
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from truthline import Unloggable
from truthline.outbox import Kind
from truthline.rows import FEEDBACK, PREDICTIONS, is_missing
from truthline.sender import _encoded as encoded_rows
from truthline.values import members

from tests.client.stored import request_ids, truths
from tests.client.test_logging import DURING, HOUR
from tests.effort import examples

UUID = uuid.UUID("0b6b3f52-9b56-4a3c-8f0e-2f6f6f1f7a10")


class Size(enum.Enum):
    """An enum with a value per kind."""

    SMALL = "small"
    SEVEN = 7


class Grade(enum.IntEnum):
    """Integers with names."""

    FIRST = 1


class Pet(enum.StrEnum):
    """Texts with names."""

    CAT = "cat"


FAILED = {"error": True}  # then no output is needed
SECOND = dt.timedelta(seconds=1, microseconds=500_000)
NAMES = ["model", "namespace", "pipeline", "request_id", "deployment", "version"]
TAKEN = [
    *((name, value, written) for name in NAMES for value, written in [("7", "7"), (7, "7")]),
    ("request_id", 2**80, str(2**80)),
    ("request_id", 7.0, "7"),
    ("request_id", np.int64(7), "7"),
    ("request_id", np.float64(7), "7"),
    ("request_id", np.str_("a"), "a"),
    ("request_id", Decimal("7.00"), "7"),
    ("request_id", UUID, str(UUID)),
    ("version", Size.SEVEN, "7"),
    ("version", Size.SMALL, "small"),
    ("version", Grade.FIRST, "1"),
    ("label", Size.SMALL, "small"),
    ("label", Pet.CAT, "cat"),
    ("label", Grade.FIRST, "1"),
    ("label", Decimal("1.50"), "1.5"),
    ("value", Decimal("1.5"), 1.5),
    ("value", Fraction(3, 2), 1.5),
    ("value", np.float32(1.5), 1.5),
    ("value", np.longdouble(1.5), 1.5),
    ("value", 3, 3),
    ("value", np.array(1.5), 1.5),
    ("confidence", Decimal("0.5"), 0.5),
    ("confidence", np.float64(1 + 1e-6), 1.0),
    ("latency_seconds", SECOND, 1.5),
    ("latency_seconds", pd.Timedelta(SECOND), 1.5),
    ("latency_seconds", np.timedelta64(1500, "ms"), 1.5),
    ("latency_seconds", np.timedelta64(1_500_000_000, "ns"), 1.5),
    ("latency_seconds", Decimal("1.5"), 1.5),
    ("batch_index", np.int8(2), 2),
    ("batch_index", 2.0, 2),
    ("error", np.True_, True),
    ("error", 0, False),
    ("scores", {Size.SMALL: Decimal("0.5"), 7: 0.25}, {"small": 0.5, "7": 0.25}),
    ("scores", [("a", 0.5), ("b", 0.25)], {"a": 0.5, "b": 0.25}),
    ("scores", pd.Series({"a": 0.5, "b": 0.25}), {"a": 0.5, "b": 0.25}),
    ("detections", [(Pet.CAT, np.float32(0.5))], [{"label": "cat", "confidence": 0.5}]),
    ("time", pd.Timestamp(DURING), DURING.isoformat(timespec="microseconds")),
]
REFUSED = [
    *((name, value) for name in NAMES for value in (1.5, True, b"a", dt.date(2026, 3, 1))),
    ("request_id", 2.0**60),
    ("request_id", np.bool_(1)),
    ("request_id", ["a"]),
    ("label", UUID),
    ("label", dt.date(2026, 3, 1)),
    ("label", b"cat"),
    ("value", "1.5"),
    ("value", True),
    ("value", SECOND),
    ("value", 1 + 1j),
    ("value", Decimal("Infinity")),
    ("value", np.array([1.0, 2.0])),
    ("confidence", "high"),
    ("confidence", np.True_),
    ("latency_seconds", "1s"),
    ("latency_seconds", np.datetime64("2026-03-01")),
    ("batch_index", 2.5),
    ("batch_index", True),
    ("error", "no"),
    ("error", 2),
    ("time", dt.date(2026, 3, 1)),
    ("time", 1_700_000_000),
    ("scores", np.array([0.5, 0.5])),
    ("scores", {"a": None}),
    ("scores", "a"),
    ("scores", 0.5),
    ("detections", 5),
    ("detections", [("cat", "high")]),
]


def named(values):
    return [f"{name}: {value!r}"[:60] for name, value, *_ in values]


@pytest.mark.parametrize(("name", "value", "written"), TAKEN, ids=named(TAKEN))
def test_what_is_taken(name, value, written):
    (row,) = encoded_rows(Kind.PREDICTIONS, [FAILED | {name: value}], {})
    (wire,) = set(json.loads(row)) - {"error"} or {"error"}

    assert json.loads(row)[wire] == written
    assert members({name: value}, PREDICTIONS) == {name: written}
    if name in FEEDBACK:
        assert members({name: value}, FEEDBACK) == {name: written}


@pytest.mark.parametrize(("name", "value"), REFUSED, ids=named(REFUSED))
def test_what_is_refused_names_row_and_field(truthline, name, value):
    rows = [{"error": True, name: {"error": True}.get(name)}, {"error": True, name: value}]
    rows[0] = {"error": True}
    with pytest.raises(Unloggable, match=f"^row 1: {name}"):
        list(encoded_rows(Kind.PREDICTIONS, rows, {}))

    given = {"error": True, name: value} if name != "error" else {"label": "a", "error": value}
    truthline.log_prediction(**{"model": "m"} | given)
    stats = truthline.stats()
    assert stats.predictions.refused == 1
    assert stats.last_problem.startswith(name)


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.fractions(),
    st.complex_numbers(),
    st.text(),
    st.binary(),
    st.uuids(),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.timezones()),
    st.timedeltas(),
    st.sampled_from([*Size, *Grade, *Pet, pd.NA, pd.NaT, np.timedelta64("NaT"), object()]),
    st.integers(-100, 100).map(np.int8),
    st.floats(width=32).map(np.float32),
    st.booleans().map(np.bool_),
    st.integers(0, 10**9).map(lambda n: np.timedelta64(n, "ns")),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.floats(), max_size=2),
)


def outcome(convert):
    """What a conversion gives, or why it fails."""
    try:
        return convert(), ""
    except Unloggable as error:
        return None, str(error)


@examples(200, thorough=5000)
@given(name=st.sampled_from([*PREDICTIONS]), value=values)
def test_any_value_is_json_or_refused_by_its_field(name, value):
    """In a table as in a single call, except for missing values."""
    row, reason = outcome(lambda: members({name: value}, PREDICTIONS))
    sent, refusal = outcome(lambda: list(encoded_rows(Kind.PREDICTIONS, [{name: value}], FAILED)))

    assert not reason or reason.startswith(name)
    if not is_missing(value):
        assert refusal == (reason and f"row 0: {reason}")
    assert json.loads(sent[0]) if sent else refusal.startswith(f"row 0: {name}")
    assert row is None or json.dumps(row)


TABLES = {
    "nullable ints": lambda ids: pd.DataFrame({"request_id": pd.array(ids, "Int64")}),
    "floats": lambda ids: pd.DataFrame({"request_id": [float(id_) for id_ in ids]}),
    "objects": lambda ids: pd.DataFrame({"request_id": pd.Series(ids, dtype=object)}),
    "ints of Arrow in pandas": lambda ids: pd.DataFrame(
        {"request_id": pd.array(ids, "int64[pyarrow]")}
    ),
    "an index": lambda ids: pd.DataFrame(index=pd.Index(ids, name="request_id"), columns=[]),
    "polars": lambda ids: pl.DataFrame({"request_id": ids}),
    "arrow": lambda ids: pa.table({"request_id": ids}),
    "dictionary": lambda ids: pa.table({"request_id": pa.array(ids).dictionary_encode()}),
    "decimals": lambda ids: pa.table(
        {"request_id": pa.array([Decimal(id_) for id_ in ids], pa.decimal128(9, 2))}
    ),
    "mappings": lambda ids: [{"request_id": str(id_)} for id_ in ids],
}


@pytest.mark.parametrize("kind", TABLES)
def test_ids_of_any_type_meet(truthline, database, workspace, kind):
    """A truth finds its prediction, whatever type the id has in each table."""
    truthline.send_predictions(TABLES[kind]([7, 8]), model=1, version=2, label="a", time=DURING)
    truthline.send_feedback(TABLES["nullable ints"]([7, 8]), model="1", label=Pet.CAT)

    assert request_ids(database, workspace) == ["7", "8"]
    assert truths(database, workspace) == {"7": "cat", "8": "cat"}
    (bucket,) = truthline.classification_metrics(1, version=np.int64(2), **HOUR).buckets
    assert bucket.n == 2


def test_a_request_id_is_returned_as_it_is_stored(truthline, database, workspace):
    id_ = truthline.log_prediction("pets", label="cat", request_id=UUID)
    truthline.log_feedback("pets", UUID, label="cat")
    assert truthline.flush(10)

    assert id_ == str(UUID)
    assert truths(database, workspace) == {str(UUID): "cat"}


LATENCIES = {
    "pandas": pd.DataFrame({"latency_seconds": pd.to_timedelta([250, 750], "ms")}),
    "nullable": pd.DataFrame({"latency_seconds": pd.array([0.25, 0.75], "Float64")}),
    "polars": pl.DataFrame({"latency_seconds": [SECOND / 6, SECOND / 2]}),
    "arrow": pa.table({"latency_seconds": pa.array([250, 750], pa.duration("ms"))}),
    "nanoseconds of arrow": pa.table(
        {"latency_seconds": pa.array([250_000_000, 750_000_001], pa.duration("ns"))}
    ),
    "decimals": pa.table({"latency_seconds": pa.array([Decimal("0.25"), Decimal("0.75")])}),
}


@pytest.mark.parametrize("kind", LATENCIES)
def test_durations_of_any_library_are_seconds(truthline, database, workspace, kind):
    truthline.send_predictions(LATENCIES[kind], model="m", label="a", time=DURING)

    seconds = text("""
        SELECT latency_seconds FROM prediction AS p
        JOIN series ON series.id = p.series_id JOIN model ON model.id = series.model_id
        WHERE model.workspace_id = :id ORDER BY 1
    """)
    with database.reading() as conn:
        assert conn.execute(seconds, {"id": workspace.id}).scalars().all() == [0.25, 0.75]


def test_scores_of_an_arrow_map_or_struct(truthline, database, workspace):
    map_ = pa.array([[("cat", 0.75), ("dog", 0.25)]], pa.map_(pa.string(), pa.float64()))
    struct = pa.array([{"cat": 0.75, "dog": 0.25}])
    for number, scores in enumerate((map_, struct)):
        table = pa.table({"scores": scores, "request_id": [number]})
        truthline.send_predictions(table, model="m", time=DURING)
    truthline.send_feedback([{"request_id": n} for n in (0, 1)], model="m", label="cat")

    assert truths(database, workspace) == {"0": "cat", "1": "cat"}


def test_an_execution_may_have_a_number(truthline):
    with truthline.execution(42, pipeline=UUID) as id_:
        truthline.record_metric_value("loss", Decimal("0.5"))

    assert id_ == "42"
    (metric,) = truthline.get_metrics(execution_id="42")
    assert (metric["value"], metric["pipeline_name"]) == (0.5, str(UUID))
