"""Store the runs of the demo's training pipeline, which are not stored yet."""

from collections.abc import Iterable

from sqlalchemy import Connection

from app.demo.lesson import DIGITS, Run
from app.ingest.executions import ExecutionUpdate, update_execution
from app.ingest.steps import append_values, record_value
from app.query.steps import recorded
from app.store.database import Database

DEPLOYMENT = "nightly-training"


def record(database: Database, workspace_id: int, runs: Iterable[Run]) -> None:
    """Record those that are not stored yet."""
    for run in runs:
        with database.reading() as conn:
            is_stored = _is_stored(conn, workspace_id, run)
        if not is_stored:
            _record(database, workspace_id, run)


def _is_stored(conn: Connection, workspace_id: int, run: Run) -> bool:
    stored = recorded(conn, workspace_id=workspace_id, executions=[run.execution])
    return len(stored.lists) == len(run.lists)


def _record(database: Database, workspace_id: int, run: Run) -> None:
    update = ExecutionUpdate(pipeline=DIGITS.pipeline, deployment=DEPLOYMENT)
    update_execution(database, workspace_id, run.execution, update)
    for name, value in run.scalars.items():
        record_value(database, workspace_id, execution=run.execution, name=name, value=value)
    for name, values in run.lists.items():
        append_values(database, workspace_id, execution=run.execution, name=name, values=values)
