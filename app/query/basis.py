"""What an answer rests on: as of when, exact or not, how many predictions, and what was read."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, TextClause, text

from app.query.question import (
    Basis,
    Counted,
    Coverage,
    Known,
    Moment,
    Piece,
    Question,
    Snapped,
    parameters,
)
from app.query.window import EDGES, bounds

OF_TRUTHS = (Counted.OUTCOME,)
OF_TRUTHS_AND_PREDICTIONS = (Counted.OUTCOME, Counted.PREDICTION)


def basis_of(conn: Connection, question: Question[Known], *counted: Counted) -> Basis:
    """What the answer to a question rests on, in which `counted` are counted."""
    return shared_basis(conn, (question, counted))


def shared_basis(conn: Connection, *parts: tuple[Question[Known], Sequence[Counted]]) -> Basis:
    """What an answer to several questions about one subject rests on: of each, what it counts.

    Of a question that is not settled the moment is the beginning of the transaction, whose
    snapshot was taken later.

    Cost: one statement; a look at one cell per edge where something was dropped.
    """
    question = parts[0][0]
    every = [counted for _, counted in parts]
    asked = json.dumps([_part(one, counted) for one, counted in parts if counted], default=_text)
    rows = conn.execute(
        _basis(question.subject.SERIES), parameters(question) | {"parts": asked}
    ).all()
    moment = question.moment or Moment(rows[0].began)
    found = sorted(
        (row for row in rows if row.subject is not None),
        key=lambda row: (row.part, every[row.part].index(Counted(row.subject))),
    )
    cleans = [row.clean_until for row in found]
    clean = None if None in cleans else min(cleans, default=None)
    return Basis(moment, [edge for row in found for edge in _snapped(row)], clean)


def _part(question: Question[Known], counted: Sequence[Counted]) -> dict[str, Any]:
    asked = bounds(question.window, question.grid, question.as_of)
    return asked | {"subjects": [one.value for one in counted]}


def _text(instant: datetime) -> str:
    return instant.isoformat()


def _snapped(row: Row[Any]) -> Sequence[Snapped]:
    return [
        Snapped(*edges, subject=Counted(row.subject))
        for edges in zip(row.asked, row.answered, strict=True)
    ]


def pieces_of(conn: Connection, question: Question[Known]) -> list[Piece]:
    """What an answer about truths is added up from. Cost: as the answer itself."""
    return [Piece(*row) for row in conn.execute(_EXPLAIN, parameters(question))]


def covered(metrics: str) -> TextClause:
    """The statement of metrics with truths, and beside each bucket the predictions in it.

    `metrics` is the call of a function whose rows are buckets, with `n` truths each.
    """
    return text(f"""
        SELECT metrics.*, volume.n AS predictions,
               metrics.n / CAST(nullif(volume.n, 0) AS float8) AS labelled_share
        FROM {metrics} AS metrics
        JOIN truthline_internal.prediction_volume(CAST(:series AS integer[]), {EDGES}) AS volume
            USING (bucket_start)
        ORDER BY bucket_start
    """)


def coverage_of(rows: Sequence[Row[Any]]) -> list[Coverage]:
    """The predictions beside the buckets of such a statement."""
    return [Coverage(row.predictions, row.labelled_share) for row in rows]


@cache
def _basis(series: str) -> TextClause:
    """The statement about a subject whose series are this SQL; one row at least."""
    return text(f"""
        SELECT now() AS began, own.part, own.subject, own.asked, own.answered, own.clean_until
        FROM (SELECT) AS always
        LEFT JOIN (
            SELECT part.nth::integer - 1 AS part, basis.*
            FROM (SELECT {series} AS ids) AS series
            CROSS JOIN ROWS FROM (
                json_to_recordset(CAST(:parts AS json)) AS (
                    subjects text[], "start" timestamptz, "end" timestamptz, width interval,
                    origin timestamptz, zone text, as_of timestamptz)
            ) WITH ORDINALITY AS part (subjects, "start", "end", width, origin, zone, as_of, nth)
            CROSS JOIN LATERAL truthline_internal.basis(
                part.subjects, series.ids,
                truthline_internal.edges(
                    part."start", part."end", part.width, part.origin, part.zone),
                part.as_of) AS basis
        ) AS own ON true
    """)


# Python's calendar begins with the year 1; what is skipped lies a month before the window.
_EXPLAIN = text(f"""
    SELECT source, greatest(learned_from, TIMESTAMPTZ '0001-01-01 00:00:00+00'),
           learned_until, n
    FROM truthline_internal.explain('outcome', CAST(:series AS integer[]), {EDGES})
""")
