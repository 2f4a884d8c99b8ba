"""What the server holds, read from its tables."""

from typing import Any

from sqlalchemy import text

from app.store.database import Database
from tests.conftest import Workspace

_REQUESTS = text("""
    SELECT p.received_at, p.request_id FROM prediction AS p
    JOIN series ON series.id = p.series_id JOIN model ON model.id = series.model_id
    WHERE model.workspace_id = :id
""")
_TRUTHS = text("""
    SELECT o.request_id, label.name, sum(o.weight) FROM outcome AS o
    JOIN series ON series.id = o.series_id JOIN model ON model.id = series.model_id
    JOIN label ON label.id = o.actual_label
    WHERE model.workspace_id = :id
    GROUP BY 1, 2 HAVING sum(o.weight) <> 0
""")


def arrivals(database: Database, workspace: Workspace) -> list[tuple[Any, ...]]:
    """(when it was received, request id) of each prediction of a workspace."""
    with database.reading() as conn:
        return [tuple(row) for row in conn.execute(_REQUESTS, {"id": workspace.id})]


def request_ids(database: Database, workspace: Workspace) -> list[str]:
    """Ids of the predictions of a workspace, each as often as it is stored."""
    return sorted(request_id for _, request_id in arrivals(database, workspace))


def truths(database: Database, workspace: Workspace) -> dict[str, str]:
    """What is true of each request of a workspace."""
    with database.reading() as conn:
        rows = conn.execute(_TRUTHS, {"id": workspace.id}).all()
    assert all(weight == 1 for *_, weight in rows)
    return {request_id: label for request_id, label, _ in rows}
