"""The basis of an answer: as of when, whether exact, how many predictions, and what was read."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, text

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
from app.query.window import EDGES, window_parameters
from app.store.database import Prepared
from app.store.replica import reached_of

OF_TRUTHS = (Counted.OUTCOME,)
OF_TRUTHS_AND_PREDICTIONS = (Counted.OUTCOME, Counted.PREDICTION)


def basis_of(conn: Connection, question: Question[Known], *counted: Counted) -> Basis:
    """The basis of the answer to a question whose numbers count these subjects."""
    return shared_basis(conn, (question, counted))


def shared_basis(conn: Connection, *parts: tuple[Question[Known], Sequence[Counted]]) -> Basis:
    """The common basis of the answers to several questions about one subject.

    Each part is a question and what its numbers count.

    If the question is not settled, the moment is the start of the transaction; its snapshot is
    later.

    Cost: one statement; one cell is read per edge if rows were dropped.
    """
    question = parts[0][0]
    counted_by_part = [counted for _, counted in parts]
    questions = json.dumps(
        [_part(part, counted) for part, counted in parts if counted], default=_text
    )
    asked = parameters(question) | {"parts": questions}
    rows = _basis(question.subject.SERIES).rows(conn, asked)
    moment = question.moment or _moment(conn, rows[0].began)
    basis_rows = sorted(
        (row for row in rows if row.subject is not None),
        key=lambda row: (row.part, counted_by_part[row.part].index(Counted(row.subject))),
    )
    cleans = [row.clean_until for row in basis_rows]
    clean = None if None in cleans else min(cleans, default=None)
    return Basis(moment, [edge for row in basis_rows for edge in _snapped(row)], clean)


def _moment(conn: Connection, began: datetime) -> Moment:
    replica = reached_of(conn)
    return Moment(replica.moment, lag=replica.lag) if replica else Moment(began)


def _part(question: Question[Known], counted: Sequence[Counted]) -> dict[str, Any]:
    window = window_parameters(question.window, question.grid, question.as_of)
    return window | {"subjects": [subject.value for subject in counted]}


def _text(instant: datetime) -> str:
    return instant.isoformat()


def _snapped(row: Row[Any]) -> Sequence[Snapped]:
    return [
        Snapped(*edges, subject=Counted(row.subject))
        for edges in zip(row.asked, row.answered, strict=True)
    ]


def pieces_of(conn: Connection, question: Question[Known]) -> list[Piece]:
    """The pieces that an answer about truths is summed from. Cost: the same as the answer."""
    return [Piece(*row) for row in conn.execute(_EXPLAIN, parameters(question))]


def columns_of(metrics: str, measures: Iterable[str], *more: str) -> str:
    """The columns of a function of metrics, by name: a statement that is kept must list them."""
    names = ("bucket_start", "bucket_end", "n", *measures, *more)
    return ", ".join(f'{metrics}."{name}"' for name in names)


def covered(metrics: str, columns: str) -> Prepared:
    """The statement for metrics with truths that adds the number of predictions to each bucket.

    `metrics` calls a function that returns a row per bucket, with these columns; `n` counts truths.
    """
    return Prepared(f"""
        SELECT {columns}, volume.n AS predictions,
               metrics.n / CAST(nullif(volume.n, 0) AS float8) AS labelled_share
        FROM {metrics} AS metrics
        JOIN truthline_internal.prediction_volume(CAST(:series AS integer[]), {EDGES}) AS volume
            ON volume.bucket_start = metrics.bucket_start
        ORDER BY metrics.bucket_start
    """)


def coverage_of(rows: Sequence[Row[Any]]) -> list[Coverage]:
    """The coverage of each bucket, from the rows of such a statement."""
    return [Coverage(row.predictions, row.labelled_share) for row in rows]


@cache
def _basis(series: str) -> Prepared:
    """The statement for a subject whose series ids `series` selects; returns at least one row."""
    return Prepared(f"""
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


# Python's calendar begins with the year 1; what is cut off is at least a month older than the
# window.
_EXPLAIN = text(f"""
    SELECT source, greatest(learned_from, TIMESTAMPTZ '0001-01-01 00:00:00+00'),
           learned_until, n
    FROM truthline_internal.explain('outcome', CAST(:series AS integer[]), {EDGES})
""")
