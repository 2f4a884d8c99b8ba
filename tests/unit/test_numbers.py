"""How numbers and times are written for dialects."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from marshmallow import Schema

from app.api.http.numbers import Float32, shortest_float32, utc_time

LARGEST = 3.4028234663852886e38
MIDWAY_TO_INFINITY = 3.4028235677973366e38
# Here the shortest decimal is not the nearest of its length; ours has one digit more.
LONGER = {2.0**-96, 2.0**87, 2.0**90}
FINITE = st.floats(-LARGEST, LARGEST)


@given(st.one_of(FINITE, st.floats(-1, 1), st.floats(-LARGEST, LARGEST, width=32)))
@example(1e-45)
@example(1.1754944e-38)
@example(16777216.0)
@example(LARGEST)
@example(math.nextafter(MIDWAY_TO_INFINITY, 0))
@example(-0.0)
def test_a_number_is_the_shortest_decimal_of_its_32_bits(number):
    assume(abs(np.float32(number)) not in LONGER)

    assert float(shortest_float32(number)) == float(str(np.float32(number)))


@given(FINITE)
@example(2.0**-96)
@example(2.0**87)
def test_what_is_written_reads_back_as_the_same_32_bits(number):
    written = json.dumps(shortest_float32(number))

    assert np.float32(json.loads(written)) == np.float32(number)


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (7 / 15, "0.46666667"),
        (2 / 11, "0.18181819"),
        (1 / 3, "0.33333334"),
        (2 / 3, "0.6666667"),
        (0.1, "0.1"),
        (1.0, "1"),
        (0.0, "0"),
        (-1.0, "-1"),
        (16777216.0, "16777216"),
        (1.0847167e20, "108471670000000000000"),
        (1e21, "1e+21"),
        (-1e30, "-1e+30"),
        (1e-7, "1e-07"),
        (MIDWAY_TO_INFINITY, '"Infinity"'),
        (-1e300, '"-Infinity"'),
        (math.inf, '"Infinity"'),
    ],
)
def test_a_number_is_written_in_json_as(number, written):
    assert json.dumps(shortest_float32(number)) == written


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_what_could_not_be_measured_is_minus_one(nothing):
    assert Schema.from_dict({"metric": Float32()})().dump({"metric": nothing}) == {"metric": -1}


@pytest.mark.parametrize(
    ("microsecond", "fraction"), [(0, ""), (500_000, ".500"), (1_000, ".001"), (1, ".000001")]
)
def test_a_time_has_a_fraction_only_where_there_is_one(microsecond, fraction):
    time = datetime(2025, 2, 25, 11, 51, 22, microsecond, UTC)

    assert utc_time(time) == f"2025-02-25T11:51:22{fraction}Z"


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)), st.integers(-1439, 1439))
def test_a_time_reads_back_as_the_same_instant(naive, minutes):
    time = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))

    assert datetime.fromisoformat(utc_time(time)) == time
