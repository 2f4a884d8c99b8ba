"""What an answer rests on: as of when, exact or not, how many predictions, and what was read.

An answer is of one moment, which is settled before anything is counted: `moment_of` comes first in
a transaction, and what it finds goes with every question.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DataError

from app.errors import InvalidWindow
from app.query.window import EDGES


class Counted(StrEnum):
    """What is counted, and dropped, apart from the rest: the subjects of cells.

    Metrics with truths are made of outcomes; volumes, means and inference stats of predictions;
    quantiles of confidence and of values of scores; those of latency of latencies.
    """

    OUTCOME = "outcome"
    PREDICTION = "prediction"
    SCORE = "score"
    LATENCY = "latency"


Question = Mapping[str, Any]
"""Window, grid and moment, as `window.bounds` makes it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The moment that an answer is of.

    `taken` is the clock just after the snapshot was taken: what was stored by then is in it.
    `as_of` is None without a moment asked for, and the moment that is answered for otherwise;
    `held_back` says that it is earlier than the one asked for.
    """

    taken: datetime
    as_of: datetime | None = None
    held_back: bool = False

    @property
    def known_at(self) -> datetime:
        """What was stored by then is counted."""
        return self.as_of or self.taken


@dataclass(frozen=True, slots=True)
class Snapped:
    """An edge of the answer that lies elsewhere than asked: the rows to divide a cell are gone.

    Of numbers that are made of `subject`; the same edge may lie elsewhere for others.
    """

    asked: datetime
    answered: datetime
    subject: Counted


@dataclass(frozen=True, slots=True)
class Reach:
    """Which question was answered: the one asked, or one with its edges on what is kept.

    What was received since `clean_until` was read from its rows: it is None while no level is
    filled.
    """

    moment: Moment
    snapped: Sequence[Snapped]
    clean_until: datetime | None

    @property
    def exact(self) -> bool:
        """Whether it is the answer to the question as it was asked."""
        return not self.snapped and not self.moment.held_back


@dataclass(frozen=True, slots=True)
class Piece:
    """Cells of a level, or rows of a raw table, learned within a span (None: until now)."""

    source: str
    learned_from: datetime
    learned_until: datetime | None
    rows: int


@dataclass(frozen=True, slots=True)
class Basis:
    """What an answer about truths rests on, read in one snapshot with it.

    `requests` holds (predictions, failures) per bucket; a failed request is no prediction.
    `pieces` are there if asked for.
    """

    reach: Reach
    requests: list[tuple[int, int]]
    pieces: list[Piece] | None


def moment_of(
    conn: Connection,
    *counted: Counted,
    as_of: datetime | None = None,
    zone: str = "UTC",
) -> Moment:
    """The moment of an answer that is made of `counted`: the first question of a transaction.

    Names of zones come and go with the tables that a host keeps of them, and those of the
    database's host may be others than ours.

    Raises:
        InvalidWindow: the database lacks the zone, or its clock, which rows are stamped by, has
            not reached `as_of`.
    """
    taken: datetime = conn.execute(_CLOCK).scalar_one()
    if as_of is not None and as_of > taken:
        raise InvalidWindow("asOf must not be in the future")
    if zone != "UTC":
        _check_zone(conn, zone)
    if as_of is None or not counted:
        return Moment(taken, as_of)
    asked = {"subjects": [one.value for one in counted], "as_of": as_of}
    reached: datetime = conn.execute(_REACHED, asked).scalar_one()
    return Moment(taken, reached, held_back=reached != as_of)


def _check_zone(conn: Connection, zone: str) -> None:
    try:
        conn.execute(_ZONE, {"zone": zone})
    except DataError:
        raise InvalidWindow(f"the database has no time zone {zone}") from None


def reach_of(
    conn: Connection,
    moment: Moment,
    *,
    series: Sequence[int],
    questions: Iterable[tuple[Question, Sequence[Counted]]],
) -> Reach:
    """Whether all that an answer needs is still there: of each question, what it counts.

    Cost: a look at one cell per edge where something was dropped, otherwise nothing.
    """
    rows = [
        row for one, counted in questions if counted for row in _basis(conn, series, one, counted)
    ]
    snapped = [
        Snapped(*edges, subject=Counted(row.subject))
        for row in rows
        for edges in zip(row.asked, row.answered, strict=True)
    ]
    cleans = [row.clean_until for row in rows]
    return Reach(moment, snapped, None if None in cleans else min(cleans, default=None))


def basis_of(
    conn: Connection,
    moment: Moment,
    *,
    series: Sequence[int],
    question: Question,
    explained: bool = False,
) -> Basis:
    """What an answer about truths rests on, and the predictions beside them.

    Cost: the cells of the predictions; with `explained` as the answer itself once more.
    """
    asked = {"series": list(series), **question}
    counted = (Counted.OUTCOME, Counted.PREDICTION)
    return Basis(
        reach_of(conn, moment, series=series, questions=[(question, counted)]),
        _requests(conn, asked),
        _pieces(conn, asked) if explained else None,
    )


def _basis(
    conn: Connection, series: Sequence[int], question: Question, counted: Sequence[Counted]
) -> Sequence[Row[Any]]:
    asked = {"series": list(series), "subjects": [one.value for one in counted], **question}
    return conn.execute(_BASIS, asked).all()


def _requests(conn: Connection, asked: Question) -> list[tuple[int, int]]:
    return [(row.n, row.n_failed) for row in conn.execute(_REQUESTS, asked)]


def _pieces(conn: Connection, asked: Question) -> list[Piece]:
    return [Piece(*row) for row in conn.execute(_EXPLAIN, asked)]


# The transaction began before its snapshot was taken, which this statement does; it is short, for
# what is stored meanwhile is not in the snapshot.
_CLOCK = text("SELECT clock_timestamp()")
_ZONE = text("SELECT now() AT TIME ZONE :zone")
_REACHED = text("""
    SELECT truthline_internal.shared_reach_as_of(
        CAST(:subjects AS text[]), CAST(:as_of AS timestamptz))
""")
_BASIS = text(f"""
    SELECT subject, asked, answered, clean_until
    FROM truthline_internal.basis(CAST(:subjects AS text[]), CAST(:series AS integer[]), {EDGES})
""")
_REQUESTS = text(f"""
    SELECT coalesce(sum(n_requests - n_failed), 0)::bigint AS n,
           coalesce(sum(n_failed), 0)::bigint AS n_failed
    FROM (SELECT {EDGES} OFFSET 0) AS asked (edges, as_of)
    CROSS JOIN LATERAL truthline_internal.buckets_of(edges) AS grid
    LEFT JOIN LATERAL truthline_internal.prediction_cells(
        CAST(:series AS integer[]), edges, as_of) AS cell USING (place)
    GROUP BY grid.place ORDER BY grid.place
""")
# Python's calendar begins with the year 1; what is skipped lies a month before the window.
_EXPLAIN = text(f"""
    SELECT source, greatest(learned_from, TIMESTAMPTZ '0001-01-01 00:00:00+00'),
           learned_until, n
    FROM truthline_internal.explain('outcome', CAST(:series AS integer[]), {EDGES})
""")
