"""How good was each version of a model? One measure per version and bucket."""

from collections import defaultdict
from datetime import timedelta

from sqlalchemy import Connection, TextClause, text

from app.query.models import subject
from app.query.window import Window
from app.store.registry import Kind, ModelName

# By version: a measure per bucket, oldest first; None where the bucket holds no truth.
ByVersion = dict[str, list[float | None]]


def accuracy_by_version(
    conn: Connection, *, workspace_id: int, name: ModelName, window: Window, width: timedelta
) -> ByVersion:
    """Accuracy, as a fraction of 1."""
    found = subject(conn, workspace_id=workspace_id, name=name, kind=Kind.CLASSIFICATION)
    return _by_version(conn, _ACCURACY, found.series, window, width)


def error_by_version(
    conn: Connection, *, workspace_id: int, name: ModelName, window: Window, width: timedelta
) -> ByVersion:
    """Mean absolute error, in the model's own unit."""
    found = subject(conn, workspace_id=workspace_id, name=name, kind=Kind.REGRESSION)
    return _by_version(conn, _ERROR, found.series, window, width)


def _by_version(
    conn: Connection, question: TextClause, series: list[int], window: Window, width: timedelta
) -> ByVersion:
    bounds = {"series": series, "start": window.start, "end": window.end, "width": width}
    measures: ByVersion = defaultdict(list)
    for version, measure in conn.execute(question, bounds):
        measures[version].append(measure)
    return measures


_ACCURACY = text("""
    SELECT one.version, metrics.accuracy
    FROM (SELECT version, array_agg(id) AS series
          FROM series WHERE id = ANY (:series) GROUP BY version) AS one
    CROSS JOIN LATERAL truthline.classification_metrics(
        one.series, :start, :end, width => :width) AS metrics
    ORDER BY one.version, metrics.bucket_start
""")
_ERROR = text("""
    SELECT one.version, metrics.mean_absolute_error
    FROM (SELECT version, array_agg(id) AS series
          FROM series WHERE id = ANY (:series) GROUP BY version) AS one
    CROSS JOIN LATERAL truthline.regression_metrics(
        one.series, :start, :end, width => :width) AS metrics
    ORDER BY one.version, metrics.bucket_start
""")
