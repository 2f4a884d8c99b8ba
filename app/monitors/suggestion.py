"""A limit to begin with, from what a metric is now."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from app.monitors.definition import MonitorDefinition
from app.monitors.evaluation import read_one
from app.query.measure import Better, Unit

# How much worse than now is too bad, and how many digits of that are shown.
WORSE, DIGITS = 0.5, 3
HALF = 0.5


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A limit and the value that it is derived from; None without a value."""

    value: float | None
    limit: float | None


def worse_side(definition: MonitorDefinition) -> str:
    """On which side the metric is worse: above or below."""
    return "above" if definition.watched.better is Better.DOWN else "below"


def suggestion(
    conn: Connection,
    workspace_id: int,
    definition: MonitorDefinition,
    span: tuple[datetime, datetime],
    as_of: datetime,
) -> Suggestion:
    """A limit that is half again worse than the metric in [start, end).

    Of a share above a half, the rest counts: 98 % gives 97 %. Cost: three statements.
    """
    value = read_one(conn, workspace_id, definition, *span, as_of).value
    if value is None:
        return Suggestion(None, None)
    is_share = definition.watched.unit is Unit.SHARE and HALF < value <= 1
    distance = WORSE * (1 - value if is_share else abs(value))
    limit = value + (distance if worse_side(definition) == "above" else -distance)
    return Suggestion(value, float(f"{limit:.{DIGITS}g}"))
