"""Comparison of the versions of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, TextClause, text

from app.query.classification import Average
from app.query.measures import LEADING
from app.query.question import Question, parameters
from app.query.subjects import Subject
from app.query.window import EDGES, WHOLE
from app.store.registry import Kind


@dataclass(frozen=True, slots=True)
class Version:
    """One version in a window. Units are those of the metrics and of `app/query/health.py`.

    `measures` are the `LEADING` ones of its kind, in order; `starts` and `headlines` are the first
    of them over time, None in buckets without truths.
    """

    name: str
    answered: int
    failed: int
    mean_latency_ms: float | None
    truths: int
    measures: Sequence[float | None]
    starts: Sequence[datetime]
    headlines: Sequence[float | None]


def versions(
    conn: Connection, question: Question[Subject], average: Average = Average.MACRO
) -> list[Version]:
    """The versions of a settled model by name; `average` says how classes are averaged.

    Cost: one statement that reads the cells of the window three times per version.
    """
    rows = conn.execute(
        _STATEMENTS[question.subject.kind], parameters(question) | {"average": average}
    )
    return [Version(*row) for row in rows]


def _statement(kind: Kind | None) -> TextClause:
    function = f"{kind}_metrics" if kind in LEADING else None
    measures = LEADING.get(kind, ())
    averaged = ", average => CAST(:average AS text)" if kind is Kind.CLASSIFICATION else ""
    metrics = f"truthline_internal.{function}(by_version.series, {EDGES}{averaged})"
    whole = f"truthline_internal.{function}(by_version.series, {WHOLE}{averaged})"
    judged = (
        f"SELECT n, ARRAY[{', '.join(measures)}] FROM {whole}"
        if function
        else "SELECT 0::bigint, '{}'::float8[]"
    )
    over_time = (
        f"SELECT array_agg(bucket_start ORDER BY bucket_start),"
        f" array_agg({measures[0]} ORDER BY bucket_start) FROM {metrics}"
        if function
        else "SELECT '{}'::timestamptz[], '{}'::float8[]"
    )
    return text(f"""
        SELECT by_version.version, load.n, load.n_failed,
               truthline_internal.mean_milliseconds(load.sum_latency, load.n_latency),
               judged.n, judged.measures, line.starts, line.headlines
        FROM (SELECT version, array_agg(id) AS series FROM series
              WHERE id = ANY (CAST(:series AS integer[])) GROUP BY version) AS by_version
        CROSS JOIN LATERAL truthline_internal.prediction_volume(
            by_version.series, {WHOLE}) AS load
        CROSS JOIN LATERAL ({judged}) AS judged (n, measures)
        CROSS JOIN LATERAL ({over_time}) AS line (starts, headlines)
        ORDER BY by_version.version COLLATE "C"
    """)


_STATEMENTS = {kind: _statement(kind) for kind in (*Kind, None)}
