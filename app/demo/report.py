"""The metrics that the demo shows, as tables."""

from collections.abc import Iterator
from datetime import timedelta

from rich.table import Table
from sqlalchemy import Connection

from app.demo.tables import accuracy_table, confusion_table, error_table
from app.demo.timeline import DIABETES, DIGITS
from app.query.classification import classification_buckets
from app.query.question import Question
from app.query.regression import regression_buckets
from app.query.settle import settle
from app.query.subjects import Scope
from app.query.versions import versions
from app.query.window import Grid, Window
from app.store.registry import Registry

HALF_HOUR, HOUR = timedelta(minutes=30), timedelta(hours=1)


def report(
    conn: Connection, registry: Registry, *, workspace_id: int, window: Window
) -> Iterator[Table]:
    """Accuracy per half hour, the confusion matrix of the whole window, and errors per hour."""
    digits = settle(conn, Question(workspace_id, Scope(DIGITS), window, Grid(HALF_HOUR)))
    half_hours = classification_buckets(conn, registry, digits)
    yield accuracy_table(half_hours, versions(conn, digits))
    (whole,) = classification_buckets(conn, registry, digits.over(window))
    yield confusion_table(whole.matrix)
    diabetes = settle(conn, Question(workspace_id, Scope(DIABETES), window, Grid(HOUR)))
    yield error_table(regression_buckets(conn, diabetes), versions(conn, diabetes))
