"""Expected cells, from plain Python over the raw rows."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from sqlalchemy import Connection, Row, text

Rows = Sequence[Row[Any]]
Key = tuple[Any, ...]  # place, and the keys of a cell
Sums = list[tuple[Fraction, Fraction]]  # of each sum also its size
Measured = tuple[Key, list[Any]]  # keys, and what is added to each sum

ROWS = {
    "outcome": text("SELECT * FROM outcome WHERE series_id = ANY (:series)"),
    "prediction": text("SELECT * FROM prediction WHERE series_id = ANY (:series)"),
}
CELLS = {
    subject: text(f"""
        SELECT * FROM truthline_internal.{subject}_cells(:series, truthline_internal.edges(
            CAST(:start AS timestamptz), CAST(:end AS timestamptz), CAST(:width AS interval),
            CAST(:origin AS timestamptz)), CAST(:as_of AS timestamptz))
    """)
    for subject in ("outcome", "error", "deviation", "prediction", "score", "latency")
}
# How many columns after the place are keys.
KEYS = {"outcome": 2, "error": 0, "deviation": 0, "prediction": 1, "score": 2, "latency": 1}
# Into how many equal parts a power of two is cut.
VALUE_PARTS, LATENCY_PARTS = 16, 8
SMALLEST_NORMAL = 2.0**-1022
# The smallest truth that has a percentage error.
SMALLEST_TRUTH = 1e-150


def bin_of(number: float, parts: int) -> int:
    """Which part of which power of two it lies in, by the mathematics of it."""
    size = abs(number)
    if size < SMALLEST_NORMAL:
        octave, within = 0, size / SMALLEST_NORMAL
    else:
        mantissa, exponent = math.frexp(size)  # mantissa * 2 ** exponent, from 0.5 to 1
        octave, within = exponent + 1022, 2 * mantissa - 1
    place = 1 + octave * parts + math.floor(within * parts)
    return -place if number < 0 else place


def edges_of(
    start: datetime, end: datetime, width: timedelta | None, origin: datetime | None
) -> list[datetime]:
    """First instants of the buckets, and the end of the last."""
    if width is None:
        return [start, end]
    origin = origin or start
    at = origin + ((start - origin) // width) * width
    inner = []
    while at < end:
        inner.append(max(at, start))
        at += width
    return [*inner, end]


def plain_cells(subject: str, rows: Rows, question: Mapping[str, Any]) -> dict[Key, Sums]:
    """{(place, *keys): [(sum, size)]} of the raw rows, exactly; without cells that count nothing.

    The size of a sum is that of all that was added up, of which numbers keep 15 digits.
    """
    edges = edges_of(*(question[name] for name in ("start", "end", "width", "origin")))
    cells: dict[Key, Sums] = {}
    for row in rows:
        received = question["as_of"] == "infinity" or row.received_at < question["as_of"]
        if received and edges[0] <= row.time < edges[-1]:
            for keys, adds in MEASURES[subject](row):
                place = bisect_right(edges, row.time)
                key, zero = (place, *keys), [(Fraction(0), Fraction(0))] * len(adds)
                cells[key] = [
                    (total + Fraction(add or 0), size + abs(Fraction(add or 0)))
                    for (total, size), add in zip(cells.get(key, zero), adds, strict=True)
                ]
    return {key: sums for key, sums in cells.items() if counted(subject, sums)}


def counted(subject: str, sums: Sums) -> bool:
    return sums[COUNT_AT[subject]][0] != 0


def asked(
    conn: Connection, subject: str, series: Sequence[int], question: Mapping[str, Any]
) -> dict[Key, list[Fraction]]:
    """The same from the planner: {(place, *keys): [sums]}."""
    rows = conn.execute(CELLS[subject], {"series": series, **question}).all()
    keys = KEYS[subject] + 1
    return {tuple(row[:keys]): [Fraction(s or 0) for s in row[keys:]] for row in rows}


def raw_rows(conn: Connection, series: Sequence[int]) -> dict[str, Sequence[Row[Any]]]:
    """All raw rows by table."""
    return {t: conn.execute(ask, {"series": series}).all() for t, ask in ROWS.items()}


def outcome(row: Row[Any]) -> Iterator[Measured]:
    yield (row.predicted_label, row.actual_label), [row.weight]


def error(row: Row[Any]) -> Iterator[Measured]:
    if row.predicted_value is None:
        return
    difference = Fraction(row.predicted_value) - Fraction(row.actual_value)
    actual = Fraction(row.actual_value)
    sums = [1, difference, abs(difference), difference**2, actual, actual**2]
    share = [1, abs(difference / actual)] if abs(actual) >= SMALLEST_TRUTH else [0, 0]
    yield (), [row.weight * number for number in [*sums, *share]]


def deviation(row: Row[Any]) -> Iterator[Measured]:
    if row.predicted_value is None:
        return
    actual = Fraction(row.actual_value)
    squared = (Fraction(row.predicted_value) - actual) ** 2
    share = squared / actual**2 if abs(actual) >= SMALLEST_TRUTH else 0
    powers = [actual, actual**2, actual**3, actual**4]
    sums = [1, squared, squared**2, *powers, squared * actual, squared * actual**2, share]
    yield (), [row.weight * number for number in sums]


def prediction(row: Row[Any]) -> Iterator[Measured]:
    """What a failed request came with is no output."""
    first, ok = row.starts_request, not row.failed
    timed = row.latency_seconds is not None
    yield (
        (row.label_id if ok else None,),
        [
            int(first),
            int(first and row.failed),
            int(row.starts_label and ok),
            1,
            int(row.confidence is not None and ok),
            row.confidence if ok else None,
            int(row.value is not None and ok),
            row.value if ok else None,
            int(first and timed),
            row.latency_seconds if first else None,
            int(timed and ok),
            row.latency_seconds if ok else None,
        ],
    )


def score(row: Row[Any]) -> Iterator[Measured]:
    if row.failed:
        return
    if row.confidence is not None:
        yield (row.label_id, int(row.confidence * 64)), [1]
    elif row.value is not None:
        yield (row.label_id, bin_of(row.value, VALUE_PARTS)), [1]


def latency(row: Row[Any]) -> Iterator[Measured]:
    if row.starts_request and row.latency_seconds is not None:
        yield (bin_of(row.latency_seconds, LATENCY_PARTS),), [1]


MEASURES = {
    "outcome": outcome,
    "error": error,
    "deviation": deviation,
    "prediction": prediction,
    "score": score,
    "latency": latency,
}
COUNT_AT = dict.fromkeys(MEASURES, 0) | {"prediction": 3}
TABLE: dict[str, str] = dict.fromkeys(("outcome", "error", "deviation"), "outcome") | dict.fromkeys(
    ("prediction", "score", "latency"), "prediction"
)


def differences(
    conn: Connection,
    series: Sequence[int],
    question: Mapping[str, Any],
    rows: Mapping[str, Rows] | None = None,
) -> Iterator[tuple[str, dict[Key, list[Fraction]], dict[Key, Sums]]]:
    """(subject, planner's, plain) where they differ; rounding to 15 digits is no difference."""
    rows = rows or raw_rows(conn, series)
    # a question about errors is one about regressors
    regressors = {row.series_id for row in rows["outcome"] if row.predicted_value is not None}
    for subject in MEASURES:
        of = sorted(regressors) if subject == "error" else series
        plain = plain_cells(subject, rows[TABLE[subject]], question)
        found = asked(conn, subject, of, question)
        if found.keys() != plain.keys() or any(
            not same(found[key], sums) for key, sums in plain.items()
        ):
            yield subject, found, plain


def same(found: Sequence[Fraction], wanted: Sums) -> bool:
    pairs = zip(found, wanted, strict=True)
    # the fourth power of a number that is taken may be beyond all doubles
    return all(abs(f - w) <= max(size, Fraction(1)) / 10**12 for f, (w, size) in pairs)
