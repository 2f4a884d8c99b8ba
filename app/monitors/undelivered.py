"""Messages that were not delivered: those that wait, and those that were abandoned."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

MOST = 100


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A message. It was abandoned at `dead_at`; None if it waits for its next attempt.

    `state` and `end` are those of the verdict that it is about.
    """

    receiver: str
    part: str
    state: str
    end: datetime
    created_at: datetime
    attempts: int
    dead_at: datetime | None
    error: str


def undelivered_of(conn: Connection, monitor_id: int) -> Sequence[Undelivered]:
    """The newest messages of a monitor that were not delivered, at most MOST.

    Cost: one statement.
    """
    return [
        Undelivered(*row) for row in conn.execute(_UNDELIVERED, {"id": monitor_id, "most": MOST})
    ]


_UNDELIVERED = text("""
    SELECT receiver.name, body #>> '{data,part}', body #>> '{data,state}',
           CAST(body #>> '{data,endTime}' AS timestamptz), delivery.created_at, attempts, dead_at,
           error
    FROM delivery JOIN receiver ON receiver.id = receiver_id
    WHERE monitor_id = :id AND delivered_at IS NULL
    ORDER BY delivery.id DESC LIMIT :most
""")
