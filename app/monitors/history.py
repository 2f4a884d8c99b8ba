"""The verdicts on the windows of a monitor, as they were known at a moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from app.errors import InvalidWindow, UnknownMonitor


@dataclass(frozen=True, slots=True)
class Revised:
    """The verdict on a window that a later one has changed.

    `learned` counts the truths that made the difference; for a metric without truths: predictions.
    """

    state: str
    value: float | None
    as_of: datetime
    learned: int


@dataclass(frozen=True, slots=True)
class PastVerdict:
    """A verdict on [start, end), given as of a moment; `revises` is what it has changed."""

    part: str
    start: datetime
    end: datetime
    as_of: datetime
    revision: int
    state: str
    reason: str
    value: float | None
    low: float | None
    high: float | None
    baseline: float | None
    n: int
    revises: Revised | None


@dataclass(frozen=True, slots=True)
class History:
    """The last verdict on each window, the latest window first.

    `judged_as_of` is the moment of the last round. `before` continues the list, if there is more.
    """

    verdicts: Sequence[PastVerdict]
    judged_as_of: datetime | None
    before: datetime | None


def history_of(
    conn: Connection,
    workspace_id: int,
    name: str,
    *,
    as_of: datetime | None = None,
    since: datetime | None = None,
    before: datetime | None = None,
    size: int = 100,
) -> History:
    """What was known of at most `size` windows, those that end after `since` and before `before`.

    Cost: two statements; the second over the verdicts on those windows.

    Raises:
        UnknownMonitor: the workspace has none of this name.
        InvalidWindow: `as_of` is in the future.
    """
    head = conn.execute(_HEAD, {"workspace": workspace_id, "name": name}).one_or_none()
    if head is None:
        raise UnknownMonitor(f"no monitor {name}")
    if as_of is not None and as_of > head.now:
        raise InvalidWindow("asOf must not be in the future")
    asked = {
        "id": head.id,
        "as_of": as_of,
        "since": since,
        "before": before,
        "size": size + 1,
    }
    found = [_verdict(row) for row in conn.execute(_HISTORY, asked)]
    ends = sorted({verdict.end for verdict in found}, reverse=True)
    if len(ends) <= size:
        return History(found, head.as_of, None)
    kept = [verdict for verdict in found if verdict.end != ends[-1]]
    return History(kept, head.as_of, ends[-2])


def _verdict(row: Row[Any]) -> PastVerdict:
    own = row._asdict()
    revised = {name: own.pop(f"revised_{name}") for name in ("state", "value", "as_of")}
    learned = own.pop("learned")
    return PastVerdict(
        **own, revises=Revised(**revised, learned=learned) if revised["state"] else None
    )


_HEAD = text("""
    SELECT monitor.id, monitor_round.as_of, clock_timestamp() AS now
    FROM monitor CROSS JOIN monitor_round
    WHERE workspace_id = :workspace AND name = :name
""")
_HISTORY = text("""
    WITH known AS (
        SELECT * FROM verdict
        WHERE monitor_id = :id
          AND as_of <= coalesce(CAST(:as_of AS timestamptz), 'infinity')
          AND window_end < coalesce(CAST(:before AS timestamptz), 'infinity')
          AND window_end > coalesce(CAST(:since AS timestamptz), '-infinity')
    ),
    latest AS (SELECT DISTINCT window_end FROM known ORDER BY 1 DESC LIMIT :size)
    SELECT DISTINCT ON (window_end, part COLLATE "C")
           part, window_start AS start, window_end AS "end", as_of, revision, state, reason, value,
           low, high, baseline, n, revised_state, revised_value, revised_as_of, learned
    FROM known JOIN latest USING (window_end)
    ORDER BY window_end DESC, part COLLATE "C", as_of DESC
""")
