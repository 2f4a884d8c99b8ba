"""What a round has to judge: windows that have ended, and those that later rows have touched."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

from app.monitors.definition import MonitorDefinition, of_json
from app.monitors.durations import ends_between
from app.monitors.evaluation import Job
from app.query.subjects import in_sql

# So many windows of a monitor that were missed are judged in one round; the others in the next.
MAX_MISSED = 500


@dataclass(slots=True)
class Due:
    """A monitor with windows to be judged: those that have ended, and those judged before."""

    id: int
    name: str
    revision: int
    workspace_id: int
    definition: MonitorDefinition
    judged_from: datetime
    judged_until: datetime
    new: list[datetime] = field(default_factory=list)
    touched: list[datetime] = field(default_factory=list)

    @property
    def job(self) -> Job:
        """All its windows."""
        return Job(self.workspace_id, self.definition, [*self.touched, *self.new])


def due_monitors(conn: Connection, since: datetime | None, as_of: datetime) -> list[Due]:
    """The monitors with anything to do, given what was received in [since, as_of).

    Cost: two statements: one over the monitors, one over the rows received in between.
    """
    touched = _touched(conn, since, as_of) if since else {}
    asked = {"as_of": as_of, "touched": in_sql(touched)}
    found = [_due(row) for row in conn.execute(_DUE, asked)]
    for due in found:
        ends = ends_between(due.definition.step, due.judged_until, as_of)
        due.new = ends[:MAX_MISSED]
        due.touched = _ends_of(due, touched.get(due.id, ()))
    return [due for due in found if due.new or due.touched]


def _due(row: Row[Any]) -> Due:
    definition = of_json(row.definition)
    return Due(
        row.id,
        row.name,
        row.revision,
        row.workspace_id,
        definition,
        row.judged_from,
        row.judged_until,
    )


def _touched(conn: Connection, since: datetime, as_of: datetime) -> Mapping[int, list[datetime]]:
    """When the steps begin, by monitor, that have rows received in between."""
    found: dict[int, list[datetime]] = defaultdict(list)
    for monitor_id, start in conn.execute(_TOUCHED, {"since": since, "as_of": as_of}):
        found[monitor_id].append(start)
    return found


def _ends_of(due: Due, steps: Sequence[datetime]) -> list[datetime]:
    """When the windows end that were judged, and whose verdict depends on those steps."""
    definition = due.definition
    if _in_reference(definition, steps):
        return ends_between(definition.step, due.judged_from, due.judged_until)
    reach = _reach(definition)
    ends = {
        end
        for start in steps
        for end in ends_between(
            definition.step, max(start, due.judged_from), min(start + reach, due.judged_until)
        )
    }
    return sorted(ends)


def _in_reference(definition: MonitorDefinition, steps: Sequence[datetime]) -> bool:
    compare = definition.compare
    if compare.with_ != "reference" or compare.start_time is None or compare.end_time is None:
        return False
    first, last = compare.start_time - definition.step, compare.end_time
    return any(first < start < last for start in steps)


def _reach(definition: MonitorDefinition) -> timedelta:
    """How long after the start of a step the last window ends whose verdict depends on it."""
    periods = {"previous": 1, "trailing": definition.compare.windows or 0}
    back = periods.get(definition.compare.with_, 0)
    return definition.length * (1 + back) + definition.step * (definition.for_ - 1)


_DUE = text("""
    SELECT id, name, revision, workspace_id, definition, judged_from, judged_until
    FROM monitor
    WHERE judged_until + every <= :as_of OR id = ANY (CAST(:touched AS integer[]))
    ORDER BY id
""")
# Steps are those of each monitor. One that begins no earlier than what is judged touches nothing.
_TOUCHED = text("""
    WITH learned AS MATERIALIZED (
        SELECT true AS is_truth, series_id, truthline_data.event_start('1 minute', time) AS minute
        FROM outcome
        WHERE received_at >= :since AND received_at < :as_of
          AND EXISTS (SELECT FROM monitor WHERE of_truths)
        GROUP BY 2, 3
        UNION ALL
        SELECT false, series_id, truthline_data.event_start('1 minute', time)
        FROM prediction
        WHERE received_at >= :since AND received_at < :as_of
          AND EXISTS (SELECT FROM monitor WHERE of_predictions)
        GROUP BY 2, 3
    )
    SELECT DISTINCT monitor.id, truthline_data.event_start(monitor.every, learned.minute) AS step
    FROM learned
    JOIN series ON series.id = learned.series_id
    JOIN model ON model.id = series.model_id
    JOIN monitor ON monitor.workspace_id = model.workspace_id AND monitor.model = model.name
        AND monitor.namespace = model.namespace AND monitor.pipeline = model.pipeline
    WHERE CASE WHEN learned.is_truth THEN monitor.of_truths ELSE monitor.of_predictions END
      AND learned.minute < monitor.judged_until
""")
