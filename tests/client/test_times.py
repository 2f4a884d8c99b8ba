"""Times finer than a microsecond are truncated, never rounded into the next bucket."""

import subprocess
import sys
from datetime import date, datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from truthline import Counts, Unloggable

from tests.client.test_logging import warnings_of

NANOSECONDS = "2026-03-01T10:59:59.999999999"
LAST = pd.Timestamp(NANOSECONDS, tz="UTC")
HOURS = {"start": "2026-03-01T10:00:00Z", "end": "2026-03-01T12:00:00Z", "interval": "1h"}
SINGLE = {
    "a timestamp": LAST,
    "of another zone": LAST.tz_convert("Asia/Kolkata"),
    "text": f"{NANOSECONDS}Z",
    "text with an offset": "2026-03-01T11:59:59.9999999+01:00",
    "text with an offset behind": "2026-03-01T05:59:59.9999995-05:00",
    "of numpy, by way of pandas": pd.Timestamp(np.datetime64(NANOSECONDS, "ns"), tz="UTC"),
}


def by_the_hour(client, **asked):
    answer = client.classification_metrics("pets", **HOURS | asked)
    return [bucket.predictions for bucket in answer.buckets]


@pytest.mark.parametrize("kind", SINGLE)
def test_the_last_nanosecond_of_an_hour_is_of_that_hour(truthline, kind):
    truthline.log_prediction("pets", label="cat", time=SINGLE[kind])
    truthline.send_predictions([{"label": "cat", "time": SINGLE[kind]}], model="pets")
    assert truthline.flush(10)

    assert by_the_hour(truthline) == [2, 0]


NUMPYS = np.array([NANOSECONDS], "datetime64[ns]")
FRAME = pd.DataFrame({"label": ["cat"], "time": pd.Series(NUMPYS).dt.tz_localize("UTC")})
TABLES = {
    "pandas": FRAME,
    "an index of pandas": FRAME.set_index("time"),
    "polars": pl.DataFrame(FRAME),
    "arrow": pa.Table.from_pandas(FRAME),
    "pandas on Arrow": FRAME.convert_dtypes(dtype_backend="pyarrow"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_and_in_every_table(truthline, kind):
    truthline.send_predictions(TABLES[kind], model="pets")

    assert by_the_hour(truthline) == [1, 0]


ARROW_ALONE = """
import sys

class NoPandas:
    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise ImportError("as if it weren't installed")

sys.meta_path.insert(0, NoPandas())
import pyarrow
from truthline.tables import rows_of
type_ = pyarrow.timestamp("ns", "UTC")
times = pyarrow.array([1772362799_999_999_999, None], type_)
for row in rows_of(pyarrow.table({"time": times, "label": ["cat", "dog"]})):
    print(row["time"].isoformat() if row["time"] else None, row["label"])
"""


def test_arrow_is_cut_without_pandas():
    command = [sys.executable, "-W", "error", "-c", ARROW_ALONE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["2026-03-01T10:59:59.999999+00:00 cat", "None dog"]


@pytest.mark.parametrize("kind", SINGLE)
def test_bounds_are_cut_too(truthline, kind):
    truthline.log_prediction("pets", label="cat", time="2026-03-01T10:59:59.999999Z")
    assert truthline.flush(10)

    before = truthline.classification_metrics("pets", start=HOURS["start"], end=SINGLE[kind])
    after = truthline.classification_metrics("pets", start=SINGLE[kind], end=HOURS["end"])
    assert [bucket.predictions for bucket in (*before.buckets, *after.buckets)] == [0, 1]
    assert before.buckets[0].end == after.buckets[0].start == LAST.floor("us")


# --- no time at all ---------------------------------------------------------------------------

NO_TIMES = {
    "without a zone": pd.Timestamp(NANOSECONDS),
    "numpy's has none": NUMPYS[0],
    "a day": date(2026, 3, 1),
    "seconds": 1772362799,
    "NaT": pd.NaT,
    "numpy's NaT": np.datetime64("NaT"),
}


@pytest.mark.parametrize("kind", NO_TIMES)
def test_what_has_no_offset_is_refused(truthline, caplog, kind):
    truthline.log_prediction("pets", label="cat", time=NO_TIMES[kind])

    assert truthline.stats().total == Counts(logged=1, refused=1)
    assert "time has no time zone and no offset" in warnings_of(caplog)[0]
    with pytest.raises(ValueError, match="end has no time zone and no offset"):
        truthline.models(end=NO_TIMES[kind])


NAIVE = FRAME.assign(time=NUMPYS)
NAIVE_TABLES = {
    "pandas": NAIVE,
    "polars": pl.DataFrame(NAIVE),
    "arrow": pa.Table.from_pandas(NAIVE),
    "mappings": [{"label": "cat", "time": datetime(2026, 3, 1)}],
}


@pytest.mark.parametrize("kind", NAIVE_TABLES)
def test_nor_is_a_column_without_a_zone_taken(truthline, kind):
    with pytest.raises(Unloggable, match="row 0: time has no time zone and no offset"):
        truthline.send_predictions(NAIVE_TABLES[kind], model="pets")
