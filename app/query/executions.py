"""Executions and their attributes; their metrics are in `steps.py`."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from app.errors import UnknownExecution


@dataclass(frozen=True, slots=True)
class Execution:
    """A run of a pipeline. Unknown names are empty, unknown times None."""

    execution: str
    pipeline: str
    deployment: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class ExecutionPage:
    """Some of the executions, in the order of their first appearance. `total` counts all."""

    executions: list[Execution]
    total: int


def executions(
    conn: Connection,
    *,
    workspace_id: int,
    pipeline: str | None = None,
    deployment: str | None = None,
    size: int = 100,
    offset: int = 0,
) -> ExecutionPage:
    """The executions of a workspace, or of a pipeline or deployment, from `offset` on.

    Cost: two statements through an index; all matching executions are counted.
    """
    conditions = {"workspace_id": workspace_id, "pipeline": pipeline, "deployment": deployment}
    rows = conn.execute(_PAGE, conditions | {"size": size, "offset": offset})
    selected = [Execution(*row) for row in rows]
    return ExecutionPage(selected, conn.execute(_COUNT, conditions).scalar_one())


def execution(conn: Connection, *, workspace_id: int, name: str) -> Execution:
    """One execution by its name.

    Raises:
        UnknownExecution: the workspace has none of that name.
    """
    row = conn.execute(_ONE, {"workspace_id": workspace_id, "name": name}).one_or_none()
    if row is None:
        raise UnknownExecution(f"no execution {name}")
    return Execution(*row)


_COLUMNS = "SELECT name, pipeline, deployment, created_at, started_at, finished_at FROM execution"
_MATCHING = """
    WHERE workspace_id = :workspace_id
      AND pipeline = coalesce(CAST(:pipeline AS text), pipeline)
      AND deployment = coalesce(CAST(:deployment AS text), deployment)
"""
_PAGE = text(f"{_COLUMNS} {_MATCHING} ORDER BY id LIMIT :size OFFSET :offset")
_COUNT = text(f"SELECT count(*) FROM execution {_MATCHING}")
_ONE = text(f"{_COLUMNS} WHERE workspace_id = :workspace_id AND name = :name")
