"""The levels: which there are, and what each is folded from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Level:
    """A table of cells per span of the learned clock, folded from `source`.

    `span_of` is SQL that makes the start of a span out of `{at}`. `columns` are what the source
    calls (when learned, event hour, n, absolute error, squared error). A level from raw rows has
    to wait for writers whose rows can't be seen yet.
    """

    name: str
    span_of: str
    source: str
    columns: tuple[str, str, str, str, str]
    from_raw: bool = False


def _calendar(unit: str) -> str:
    return f"date_trunc('{unit}', {{at}}, 'UTC')"


_MEASURE = ("received_at", "truthline.event_hour(time)", "n", "absolute_error", "squared_error")
_CELL = ("learned", "bucket", "n", "sum_absolute_error", "sum_squared_error")

# In the order of folding: each from the one before it.
LEVELS = (
    Level("outcome_1h", _calendar("hour"), "outcome_measure", _MEASURE, from_raw=True),
    Level("outcome_1d", _calendar("day"), "outcome_1h", _CELL),
    Level("outcome_1mo", _calendar("month"), "outcome_1d", _CELL),
)
