"""Monitors as they are stored: create, change, list and delete them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from app.errors import InvalidInput, UnknownMonitor, WrongKind
from app.monitors.definition import MonitorDefinition, as_json, check, of_json
from app.monitors.durations import latest_end
from app.monitors.endings import (
    CHANGED,
    DELETED,
    OFF_THE_LIST,
    end_alerts,
    ends_alerts,
    ends_parts,
    forget_alerts,
)


@dataclass(frozen=True, slots=True)
class PartState:
    """Where a part of a monitor stands: its last verdict, and since when its state is the same."""

    part: str
    state: str
    since: datetime
    start: datetime
    end: datetime
    as_of: datetime
    value: float | None
    low: float | None
    high: float | None
    baseline: float | None
    n: int
    reason: str


@dataclass(frozen=True, slots=True)
class Monitor:
    """A monitor, and where its parts stand: none before its first verdict.

    `dead` counts messages that were abandoned.
    """

    id: int
    name: str
    revision: int
    created_at: datetime
    changed_at: datetime
    definition: MonitorDefinition
    dead: int
    parts: list[PartState] = field(default_factory=list)


def put_monitor(
    conn: Connection, workspace_id: int, name: str, definition: MonitorDefinition
) -> Monitor:
    """Create a monitor, or change it.

    What would change its verdicts makes a new revision, which judges windows from the last ended
    one on, and ends what fires of parts that are gone. Cost: at most ten statements.

    Raises:
        InvalidInput: the definition contradicts itself, or names a receiver that doesn't exist.
        WrongKind: the model is of another kind than the metric.
    """
    now, kind = conn.execute(_MODEL, _names(workspace_id, definition)).one()
    check(definition, now)
    wanted = definition.watched.kind
    if wanted is not None and kind is not None and kind != wanted:
        raise WrongKind(f"model {definition.model} does {kind}, which has no {definition.metric}")
    stored = conn.execute(_LOCK, {"workspace": workspace_id, "name": name}).one_or_none()
    row = _row(workspace_id, name, definition, now)
    if stored is None:
        monitor_id = conn.execute(_INSERT, row).scalar_one()
    else:
        monitor_id = stored.id
        _change(conn, stored, definition, row)
    _set_receivers(conn, workspace_id, monitor_id, definition.notify)
    return find_monitor(conn, workspace_id, name)


def _names(workspace_id: int, definition: MonitorDefinition) -> dict[str, Any]:
    return {
        "workspace": workspace_id,
        "namespace": definition.namespace,
        "pipeline": definition.pipeline,
        "model": definition.model,
    }


def _row(
    workspace_id: int, name: str, definition: MonitorDefinition, now: datetime
) -> dict[str, Any]:
    start = latest_end(definition.step, now) - definition.step
    return _names(workspace_id, definition) | {
        "name": name,
        "every": definition.step,
        "definition": as_json(definition).decode(),
        "of_truths": definition.of_truths,
        "of_predictions": definition.of_predictions,
        "start": start,
        "now": now,
    }


def _change(
    conn: Connection, stored: Row[Any], definition: MonitorDefinition, row: dict[str, Any]
) -> None:
    before = of_json(stored.definition)
    if ends_alerts(before, definition):
        end_alerts(conn, stored, before, CHANGED)
        forget_alerts(conn, stored.id)
    elif set(before.notify) - set(definition.notify):
        end_alerts(conn, stored, before, OFF_THE_LIST, except_for=definition.notify)
    if before.judges_like(definition):
        conn.execute(_TELL_OTHERS, row | {"id": stored.id})
        return
    conn.execute(_REVISE, row | {"id": stored.id})
    if ends_parts(before, definition):
        conn.execute(_FORGET_PARTS, {"id": stored.id})


def _set_receivers(
    conn: Connection, workspace_id: int, monitor_id: int, names: Sequence[str]
) -> None:
    wanted = {"workspace": workspace_id, "id": monitor_id, "names": list(names)}
    known = set(conn.execute(_RECEIVERS, wanted).scalars())
    if unknown := [name for name in names if name not in known]:
        raise InvalidInput(f"notify names {unknown[0]}, but there is no such receiver")


def delete_monitor(conn: Connection, workspace_id: int, name: str) -> None:
    """Delete a monitor with its verdicts. Receivers get the end of what fires.

    Cost: three or four statements.

    Raises:
        UnknownMonitor: the workspace has none of this name.
    """
    stored = conn.execute(_LOCK, {"workspace": workspace_id, "name": name}).one_or_none()
    if stored is None:
        raise UnknownMonitor(f"no monitor {name}")
    end_alerts(conn, stored, of_json(stored.definition), DELETED)
    conn.execute(_DELETE, {"id": stored.id})


def find_monitor(conn: Connection, workspace_id: int, name: str) -> Monitor:
    """A monitor by its name. Cost: two statements.

    Raises:
        UnknownMonitor: the workspace has none of this name.
    """
    found = monitors_of(conn, workspace_id, name)
    if not found:
        raise UnknownMonitor(f"no monitor {name}")
    return found[0]


def monitors_of(conn: Connection, workspace_id: int, name: str | None = None) -> list[Monitor]:
    """The monitors of a workspace, or the one of this name, by name. Cost: two statements."""
    asked = {"workspace": workspace_id, "name": name}
    found = {row.id: _monitor(row) for row in conn.execute(_MONITORS, asked)}
    for row in conn.execute(_PARTS, asked):
        if row.monitor_id in found:
            found[row.monitor_id].parts.append(PartState(*row[1:]))
    return list(found.values())


def _monitor(row: Row[Any]) -> Monitor:
    return Monitor(
        row.id,
        row.name,
        row.revision,
        row.created_at,
        row.changed_at,
        of_json(row.definition),
        row.dead,
    )


_MODEL = text("""
    SELECT clock_timestamp(), (
        SELECT kind FROM model WHERE workspace_id = :workspace AND namespace = :namespace
            AND pipeline = :pipeline AND name = :model)
""")
_LOCK = text("""
    SELECT id, name, revision, definition FROM monitor
    WHERE workspace_id = :workspace AND name = :name FOR UPDATE
""")
_INSERT = text("""
    INSERT INTO monitor (workspace_id, name, namespace, pipeline, model, every, definition,
                         of_truths, of_predictions, judged_from, judged_until)
    VALUES (:workspace, :name, :namespace, :pipeline, :model, :every, CAST(:definition AS jsonb),
            :of_truths, :of_predictions, :start, :start)
    RETURNING id
""")
_TELL_OTHERS = text("""
    UPDATE monitor SET definition = CAST(:definition AS jsonb), changed_at = :now WHERE id = :id
""")
_REVISE = text("""
    UPDATE monitor
    SET revision = revision + 1, namespace = :namespace, pipeline = :pipeline, model = :model,
        every = :every, definition = CAST(:definition AS jsonb), of_truths = :of_truths,
        of_predictions = :of_predictions, changed_at = :now, judged_from = :start,
        judged_until = :start
    WHERE id = :id
""")
_FORGET_PARTS = text("DELETE FROM monitor_part WHERE monitor_id = :id")
_RECEIVERS = text("""
    WITH wanted AS (
        SELECT id, name FROM receiver WHERE workspace_id = :workspace AND name = ANY (:names)
    ),
    gone AS (
        DELETE FROM monitor_receiver
        WHERE monitor_id = :id AND receiver_id NOT IN (SELECT id FROM wanted)
    ),
    added AS (
        INSERT INTO monitor_receiver (monitor_id, receiver_id) SELECT :id, id FROM wanted
        ON CONFLICT DO NOTHING
    )
    SELECT name FROM wanted
""")
_DELETE = text("DELETE FROM monitor WHERE id = :id")
_MONITORS = text("""
    SELECT monitor.id, monitor.name, monitor.revision, monitor.created_at, monitor.changed_at,
           monitor.definition,
           (SELECT count(*) FROM delivery
            WHERE delivery.monitor_id = monitor.id AND dead_at IS NOT NULL) AS dead
    FROM monitor
    WHERE workspace_id = :workspace AND name = coalesce(CAST(:name AS text), name)
    ORDER BY name COLLATE "C"
""")
_PARTS = text("""
    SELECT p.monitor_id, p.part, p.state, p.since, v.window_start, v.window_end, v.as_of, v.value,
           v.low, v.high, v.baseline, v.n, v.reason
    FROM monitor
    JOIN monitor_part AS p ON p.monitor_id = monitor.id
    CROSS JOIN LATERAL (
        SELECT * FROM verdict
        WHERE verdict.monitor_id = p.monitor_id AND verdict.part = p.part
          AND verdict.window_end = p.window_end
        ORDER BY verdict.as_of DESC LIMIT 1
    ) AS v
    WHERE monitor.workspace_id = :workspace
      AND monitor.name = coalesce(CAST(:name AS text), monitor.name)
    ORDER BY p.monitor_id, p.part COLLATE "C"
""")
