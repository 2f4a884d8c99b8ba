"""An answer in parts: the predictions with each value of a tag, and the rest.

`sql/views/87_parts.sql` divides them; this module asks for the metrics of each part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, TextClause, text

from app.query.basis import coverage_of
from app.query.inferences import Totals, compared, kept_rows, pairs
from app.query.question import Division, Part, Question, parameters
from app.query.subjects import HasSeries, Selection
from app.query.window import EDGES, GRID_EDGES

Bucket = TypeVar("Bucket")


@dataclass(frozen=True, slots=True)
class PartTotals:
    """Inferences with one value of a tag, or of the rest, as in `Part`."""

    value: str | None
    is_rest: bool
    values: int
    totals: Totals


def parts_of(
    conn: Connection,
    question: Question[HasSeries],
    division: Division,
    statement: TextClause,
    more: dict[str, Any],
    buckets_of: Callable[[Sequence[Row[Any]]], Sequence[Bucket]],
) -> list[Part[Bucket]]:
    """The metrics of each part, the largest first and the rest last, from one statement.

    `statement` is that of `divided`, with its parameters `more`; `buckets_of` makes the buckets of
    a part from its rows, with the edges `asked_start` and `asked_end`.

    Cost: the cells of the window, and its widest cells twice, regardless of the number of values.
    """
    asked = parameters(question) | more | {"key": division.key, "most": division.most}
    rows = conn.execute(statement, asked)
    return [_part(list(own), buckets_of) for _, own in groupby(rows, key=lambda row: row.part)]


def _part(
    rows: list[Row[Any]], buckets_of: Callable[[Sequence[Row[Any]]], Sequence[Bucket]]
) -> Part[Bucket]:
    first = rows[0]
    return Part(
        first.value,
        first.is_rest,
        first.n_values,
        first.part_n,
        first.n_inferences,
        buckets_of(rows),
        coverage_of(rows),
    )


def divided(function: str, more: str = "") -> TextClause:
    """The statement for the metrics of parts; `more` are arguments of the function of metrics.

    The buckets are those that were asked for, also after rows were dropped.
    """
    return text(f"""
        SELECT part.place AS part, part.value, part.is_rest, part.n_values, part.n AS part_n,
               part.n_inferences, grid.bucket_start AS asked_start, grid.bucket_end AS asked_end,
               metrics.*, volume.n AS predictions,
               metrics.n / CAST(nullif(volume.n, 0) AS float8) AS labelled_share
        FROM truthline_internal.parts_by_tag(
            CAST(:series AS integer[]), {EDGES}, CAST(:key AS text), CAST(:most AS integer)) AS part
        CROSS JOIN LATERAL truthline_internal.{function}(
            part.part_series, part.truths_edges, part.truths_as_of{more})
            WITH ORDINALITY AS metrics
        JOIN LATERAL truthline_internal.prediction_volume(
            part.part_series, part.requests_edges, part.requests_as_of)
            WITH ORDINALITY AS volume ON volume.ordinality = metrics.ordinality
        JOIN truthline_internal.buckets_of({GRID_EDGES}) AS grid ON grid.place = metrics.ordinality
        ORDER BY part.place, metrics.ordinality
    """)


def totals_by_tag(
    conn: Connection, question: Question[Selection], division: Division
) -> list[PartTotals]:
    """The inferences of each part, the largest first and the rest last.

    Cost: one statement that reads the cells of both periods once, whatever the number of values.

    Raises:
        InvalidWindow, NotKept: as in `inference_totals`.
    """
    asked = compared(question) | {"key": division.key, "most": division.most}
    return [
        PartTotals(row.value, row.is_rest, row.n_values, Totals(*pairs(row[4:])))
        for row in kept_rows(conn, _TOTALS, asked)
    ]


_TOTALS = text("""
    SELECT * FROM truthline_internal.inference_totals_by_tag(
        :workspace, CAST(:start AS timestamptz), CAST(:end AS timestamptz), CAST(:key AS text),
        CAST(:most AS integer), CAST(:models AS text[]), CAST(:field AS text),
        CAST(:value AS text), CAST(:tags AS jsonb))
""")
