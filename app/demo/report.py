"""What the demo shows: the questions it asks, and their answers as tables."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from rich.table import Table
from sqlalchemy import Connection

from app.demo.tables import accuracy_table, confusion_table, error_table
from app.demo.timeline import DIABETES, DIGITS
from app.query.classification import classification_metrics
from app.query.models import subject
from app.query.regression import regression_metrics
from app.query.versions import Version, versions
from app.query.window import Grid, Window
from app.store.registry import Kind, ModelName, Registry

HALF_HOUR, HOUR = timedelta(minutes=30), timedelta(hours=1)


def report(
    conn: Connection, registry: Registry, *, workspace_id: int, window: Window
) -> Iterator[Table]:
    """Accuracy per half hour, the confusion matrix of the whole window, and errors per hour."""
    digits: dict[str, Any] = {"workspace_id": workspace_id, "name": DIGITS, "window": window}
    half_hours = classification_metrics(conn, registry, **digits, grid=Grid(HALF_HOUR))
    by_version = _versions(conn, Kind.CLASSIFICATION, **digits, width=HALF_HOUR)
    yield accuracy_table(half_hours, by_version)
    (whole,) = classification_metrics(conn, registry, **digits)
    yield confusion_table(whole.matrix)
    diabetes: dict[str, Any] = {"workspace_id": workspace_id, "name": DIABETES, "window": window}
    hours = regression_metrics(conn, **diabetes, grid=Grid(HOUR))
    yield error_table(hours, _versions(conn, Kind.REGRESSION, **diabetes, width=HOUR))


def _versions(
    conn: Connection,
    kind: Kind,
    *,
    workspace_id: int,
    name: ModelName,
    window: Window,
    width: timedelta,
) -> list[Version]:
    found = subject(conn, workspace_id=workspace_id, name=name, kind=kind)
    return versions(conn, kind=kind, series=found.series, window=window, grid=Grid(width))
