"""Times as other programs write them into CSV are read by column, as single rows read them."""

import io
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import csv

from app.ingest.bulk import chunks
from app.ingest.bulk.checked import PREDICTIONS
from app.ingest.bulk.formats import CSV, read_chunks
from app.ingest.fields import instant

TIMES = [
    datetime(2026, 3, 1, 10, tzinfo=UTC),
    datetime(2026, 3, 1, 10, 0, 0, 1, tzinfo=UTC),
    datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
]


def with_pyarrow(unit):
    out = io.BytesIO()
    csv.write_csv(pa.table({"time": pa.array(TIMES, pa.timestamp(unit, "UTC"))}), out)
    return out.getvalue().decode().splitlines()[1:]


WRITTEN = {
    "isoformat": [time.isoformat() for time in TIMES],
    "str": [str(time) for time in TIMES],
    "pyarrow": with_pyarrow("us"),
    "pyarrow, nanoseconds": with_pyarrow("ns"),
    "pandas": pd.DataFrame({"time": TIMES}).to_csv(index=False).splitlines()[1:],
    "finer": ["2026-03-01T10:00:00.1234567Z", "2026-03-01 10:00:00.999999999+05:30"],
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_no_row_is_read_by_itself(monkeypatch, written):
    """Which would take fifteen times as long."""

    def by_itself(*_arguments):
        raise AssertionError

    monkeypatch.setattr(chunks, "_row", by_itself)
    body = "\n".join(["model,label,time", *(f"m,cat,{time}" for time in written)])
    first, *rest = read_chunks(CSV, io.BytesIO(body.encode()), PREDICTIONS.row_type, spool_bytes=0)
    columns, errors = first.checked(PREDICTIONS)

    assert errors == []
    since_1970 = [instant(time) - datetime(1970, 1, 1, tzinfo=UTC) for time in written]
    assert columns.time.tolist() == [each // timedelta(microseconds=1) for each in since_1970]
    assert sum(chunk.size for chunk in rest) == 0
