"""Executions: what is recorded of them in addition to their metrics."""

from datetime import datetime

import msgspec
from sqlalchemy import text

from app.errors import InvalidInput
from app.ingest.fields import Instant, Name, range_problem, text_problem
from app.store.database import Database


class ExecutionUpdate(msgspec.Struct, forbid_unknown_fields=True, rename="camel", frozen=True):
    """Changes to an execution; a member that is absent stays as it was."""

    pipeline: Name | None = None
    deployment: Name | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None


def update_execution(
    database: Database, workspace_id: int, name: str, update: ExecutionUpdate
) -> None:
    """Create an execution or update it.

    Raises:
        InvalidInput: a text or a time can't be stored, or the end is before the start.
    """
    for field in ("pipeline", "deployment"):
        if problem := text_problem(getattr(update, field)):
            raise InvalidInput(f"{field} {problem}")
    for field, time in (("startedAt", update.started_at), ("finishedAt", update.finished_at)):
        if problem := range_problem(time):
            raise InvalidInput(f"{field} {problem}")
    row = {"workspace_id": workspace_id, "name": name} | msgspec.structs.asdict(update)
    with database.writing() as conn:
        started, finished = conn.execute(_UPDATE, row).one()
        _check_order(started, finished)


def _check_order(started: datetime | None, finished: datetime | None) -> None:
    if started and finished and finished < started:
        raise InvalidInput("finishedAt must not be before startedAt")


_UPDATE = text("""
    INSERT INTO execution AS known
        (workspace_id, name, pipeline, deployment, started_at, finished_at)
    VALUES (:workspace_id, :name, coalesce(:pipeline, ''), coalesce(:deployment, ''),
            :started_at, :finished_at)
    ON CONFLICT (workspace_id, name) DO UPDATE
    SET pipeline = coalesce(CAST(:pipeline AS text), known.pipeline),
        deployment = coalesce(CAST(:deployment AS text), known.deployment),
        started_at = coalesce(EXCLUDED.started_at, known.started_at),
        finished_at = coalesce(EXCLUDED.finished_at, known.finished_at)
    RETURNING started_at, finished_at
""")
