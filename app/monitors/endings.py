"""The end of what fires, for receivers of a part of a monitor that is watched no more.

A receiver that knows of a part that fires gets no further verdict if the monitor is deleted, if it
names another model, metric or severity, if its parts are others, or if it does not notify that
receiver any more. An Alertmanager would show the alert for a year.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, text

from app.monitors.definition import FIRING, MonitorDefinition
from app.monitors.messages import ENDED, utc

DELETED, CHANGED, OFF_THE_LIST = (
    "the monitor was deleted",
    "the monitor was changed",
    "the monitor does not notify this receiver any more",
)


def ends_alerts(before: MonitorDefinition, after: MonitorDefinition) -> bool:
    """Whether receivers know the alerts of a definition by other names than those of another."""
    return _alert(before) != _alert(after) or ends_parts(before, after)


def ends_parts(before: MonitorDefinition, after: MonitorDefinition) -> bool:
    """Whether the parts of a monitor may be others: its groups, or what they are groups of."""
    if before.group_by != after.group_by:
        return True
    return before.group_by is not None and _selection(before) != _selection(after)


def _alert(definition: MonitorDefinition) -> tuple[str, ...]:
    return (*_model(definition), definition.metric, definition.severity)


def _model(definition: MonitorDefinition) -> tuple[str, str, str]:
    return definition.namespace, definition.pipeline, definition.model


def _selection(definition: MonitorDefinition) -> tuple[Any, ...]:
    return (*_model(definition), definition.version, definition.deployment, definition.tags)


def end_alerts(
    conn: Connection,
    monitor: Row[Any],
    definition: MonitorDefinition,
    reason: str,
    *,
    except_for: Sequence[str] = (),
) -> None:
    """Send the end of each part that fires, to all receivers of a monitor but some.

    `monitor` has its id, name and revision, `definition` is what it has judged by. The caller holds
    a lock on it, and has not changed its receivers yet. Cost: one or two statements.
    """
    firing = conn.execute(_FIRING, {"id": monitor.id, "firing": list(FIRING)}).all()
    bodies = [{"part": row.part, "body": _body(monitor, definition, row, reason)} for row in firing]
    if bodies:
        rows = msgspec.json.encode(bodies).decode()
        asked = {"id": monitor.id, "rows": rows, "except_for": list(except_for)}
        conn.execute(_SEND, asked)


def forget_alerts(conn: Connection, monitor_id: int) -> None:
    """Let the next verdict of each part be news to receivers."""
    conn.execute(_FORGET, {"id": monitor_id, "firing": list(FIRING)})


def _body(
    monitor: Row[Any], definition: MonitorDefinition, row: Row[Any], reason: str
) -> dict[str, Any]:
    """Like a verdict, so that it is about the same alert."""
    now: datetime = row.now
    data = {
        "monitor": monitor.name,
        "revision": monitor.revision,
        "namespace": definition.namespace,
        "pipeline": definition.pipeline,
        "model": definition.model,
        "metric": definition.metric,
        "part": row.part,
        "startTime": utc(row.window_end - definition.length),
        "endTime": utc(row.window_end),
        "asOf": utc(now),
        "state": "ended",
        "severity": definition.severity,
        "reason": reason,
        **dict.fromkeys(("value", "low", "high", "baseline", "revises")),
        "n": 0,
        "isLatest": True,
    }
    return {"type": ENDED, "timestamp": utc(now), "data": data}


_FIRING = text("""
    SELECT part, window_end, clock_timestamp() AS now FROM monitor_part
    WHERE monitor_id = :id AND told = ANY (CAST(:firing AS text[])) ORDER BY part
""")
_SEND = text("""
    INSERT INTO delivery (receiver_id, monitor_id, part, body)
    SELECT receiver.id, :id, ended.part, ended.body
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS ended (part text, body jsonb)
    CROSS JOIN monitor_receiver JOIN receiver ON receiver.id = receiver_id
    WHERE monitor_receiver.monitor_id = :id
      AND receiver.name <> ALL (CAST(:except_for AS text[]))
    ORDER BY ended.part, receiver.id
""")
_FORGET = text("""
    UPDATE monitor_part SET told = 'ok'
    WHERE monitor_id = :id AND told = ANY (CAST(:firing AS text[]))
""")
