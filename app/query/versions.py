"""How do the versions of a model compare? Each metric once per version, side by side."""

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
    """One version in a window. Units as those of the metrics and of `app/query/health.py`.

    `measures` are the `LEADING` ones of its kind, in order; `starts` and `headlines` are the first
    of them over time, None where a bucket holds no truth.
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
    """The versions of a model that was looked up, by name; classes averaged as given.

    Cost: one statement over the cells of the window, three times per version.
    """
    rows = conn.execute(
        _STATEMENTS[question.subject.kind], parameters(question) | {"average": average}
    )
    return [Version(*row) for row in rows]


def _statement(kind: Kind | None) -> TextClause:
    function = f"{kind}_metrics" if kind in LEADING else None
    measures = LEADING.get(kind, ())
    averaged = ", average => CAST(:average AS text)" if kind is Kind.CLASSIFICATION else ""
    metrics = f"truthline_internal.{function}(one.series, {EDGES}{averaged})"
    whole = f"truthline_internal.{function}(one.series, {WHOLE}{averaged})"
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
        SELECT one.version, load.n, load.n_failed,
               truthline_internal.mean_milliseconds(load.sum_latency, load.n_latency),
               judged.n, judged.measures, line.starts, line.headlines
        FROM (SELECT version, array_agg(id) AS series FROM series
              WHERE id = ANY (CAST(:series AS integer[])) GROUP BY version) AS one
        CROSS JOIN LATERAL truthline_internal.prediction_volume(
            one.series, {WHOLE}) AS load
        CROSS JOIN LATERAL ({judged}) AS judged (n, measures)
        CROSS JOIN LATERAL ({over_time}) AS line (starts, headlines)
        ORDER BY one.version COLLATE "C"
    """)


_STATEMENTS = {kind: _statement(kind) for kind in (*Kind, None)}
