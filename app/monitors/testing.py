"""Send a message that says it is a test, to whom a monitor tells."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import text

from app.config import Settings
from app.monitors.deliveries import CLAIMED, LEASE, claimed_of, deliver
from app.monitors.messages import TEST, utc
from app.monitors.stored_monitors import Monitor, find_monitor
from app.store.database import Database


@dataclass(frozen=True, slots=True)
class Tested:
    """A receiver, and why it did not accept the test: empty if it did."""

    receiver: str
    error: str


def send_test(database: Database, settings: Settings, workspace_id: int, name: str) -> list[Tested]:
    """Send a test to each receiver of a monitor. One that fails is repeated as others are.

    Raises:
        UnknownMonitor: the workspace has none of this name.
    """
    with database.writing() as conn:
        monitor = find_monitor(conn, workspace_id, name)
        body = msgspec.json.encode(_body(monitor, datetime.now(UTC))).decode()
        asked = {"id": monitor.id, "body": body, "lease": LEASE}
        claimed = [claimed_of(row) for row in conn.execute(_SEND, asked)]
    sent = deliver(database, settings, claimed) if claimed else []
    return [Tested(one.receiver, was.error) for one, was in zip(claimed, sent, strict=True)]


def _body(monitor: Monitor, now: datetime) -> dict[str, Any]:
    """Like a verdict that is ok, so that no receiver wakes anybody."""
    definition = monitor.definition
    end = utc(now)
    data = {
        "monitor": monitor.name,
        "revision": monitor.revision,
        "namespace": definition.namespace,
        "pipeline": definition.pipeline,
        "model": definition.model,
        "metric": definition.metric,
        "part": "",
        "startTime": utc(now - definition.length),
        "endTime": end,
        "asOf": end,
        "state": "ok",
        "severity": definition.severity,
        "reason": "this is a test",
        **dict.fromkeys(("value", "low", "high", "baseline", "revises")),
        "n": 0,
        "isLatest": True,
    }
    return {"type": TEST, "timestamp": end, "data": data}


# A part of its own, so that no verdict waits for it.
_SEND = text(f"""
    WITH delivery AS (
        INSERT INTO delivery (receiver_id, monitor_id, part, body, attempts, due_at)
        SELECT receiver_id, monitor_id, 'test ' || gen_random_uuid(), CAST(:body AS jsonb), 1,
               clock_timestamp() + :lease
        FROM monitor_receiver WHERE monitor_id = :id
        RETURNING *
    )
    SELECT {CLAIMED} FROM delivery JOIN receiver ON receiver.id = delivery.receiver_id
    JOIN receiver_secret ON receiver_secret.receiver_id = receiver.id
    ORDER BY name
""")
