"""What an answer rests on: how many predictions, how fresh, exact or not, and what was read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DataError

from app.errors import InvalidWindow
from app.query.window import BOUNDS


@dataclass(frozen=True, slots=True)
class Snapped:
    """An edge of the answer that lies elsewhere than asked: the rows to divide a cell are gone."""

    asked: datetime
    answered: datetime


@dataclass(frozen=True, slots=True)
class Reach:
    """Which question was answered: the one asked, or one with its edges on what is kept.

    `as_of` is None without a moment asked for, and the moment answered for otherwise.
    """

    snapped: Sequence[Snapped]
    as_of: datetime | None
    exact: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """Cells of a level, or rows of a raw table, learned within a span (None: until now)."""

    source: str
    learned_from: datetime
    learned_until: datetime | None
    rows: int


@dataclass(frozen=True, slots=True)
class Basis:
    """All of it, read in one snapshot with the answer.

    `requests` holds (predictions, failures) per bucket; a failed request is no prediction. What
    was stored by `asked_at` was there to be counted, what was received since `clean_until` was
    read from its rows. `pieces` are there if asked for.
    """

    reach: Reach
    asked_at: datetime
    clean_until: datetime | None
    requests: list[tuple[int, int]]
    pieces: list[Piece] | None


def check_clocks(conn: Connection, zone: str, as_of: datetime | None) -> None:
    """Refuse a zone that the database lacks, and a moment that its clock has not reached.

    It is the clock that rows are stamped by. Names of zones come and go with the tables that a
    host keeps of them, and those of the database's host may be others than ours.

    Raises:
        InvalidWindow: one of the two.
    """
    try:
        now, _ = conn.execute(_NOW, {"zone": zone}).one()
    except DataError:
        raise InvalidWindow(f"the database has no time zone {zone}") from None
    if as_of is not None and as_of > now:
        raise InvalidWindow("asOf must not be in the future")


def basis_of(
    conn: Connection, *, series: Sequence[int], question: dict[str, Any], explained: bool = False
) -> Basis:
    """What an answer about outcomes rests on. `question` is that of `window.bounds`.

    Cost: the cells of the predictions; with `explained` as the answer itself once more.
    """
    asked = {"series": list(series), **question}
    asked_at, clean_until = conn.execute(_CLEAN).one()
    return Basis(
        _reach(conn, asked),
        asked_at,
        clean_until,
        _requests(conn, asked),
        _pieces(conn, asked) if explained else None,
    )


def _reach(conn: Connection, asked: dict[str, Any]) -> Reach:
    """Whether everything that the question is about is still there."""
    row = conn.execute(_REACH, asked).one()
    pairs = zip(row.asked, row.reached_edges, strict=True)
    snapped = [Snapped(edge, found) for edge, found in pairs if edge != found]
    return Reach(snapped, row.reached_as_of, exact=not snapped and not row.held_back)


def _requests(conn: Connection, asked: dict[str, Any]) -> list[tuple[int, int]]:
    return [(row.n, row.n_failed) for row in conn.execute(_REQUESTS, asked)]


def _pieces(conn: Connection, asked: dict[str, Any]) -> list[Piece]:
    return [Piece(*row) for row in conn.execute(_EXPLAIN, asked)]


_REACH = text("""
    SELECT edges AS asked, reached_edges, nullif(reached_as_of, 'infinity') AS reached_as_of,
           reached_as_of < CAST(:as_of AS timestamptz) AS held_back
    FROM truthline.edges(CAST(:start AS timestamptz), CAST(:end AS timestamptz),
                         CAST(:width AS interval), CAST(:origin AS timestamptz), :zone) AS edges
    CROSS JOIN LATERAL truthline.reach('outcome', CAST(:series AS integer[]), edges,
                                       CAST(:as_of AS timestamptz)) AS reach
""")
_NOW = text("SELECT now(), now() AT TIME ZONE :zone")
# The transaction began before its snapshot was taken: what was committed by then is in it.
_CLEAN = text("""
    SELECT now(), nullif(min(clean_until), '-infinity') FROM truthline.levels()
    WHERE subject = 'outcome' AND learned_width = INTERVAL '1 hour'
""")
_REQUESTS = text(f"""
    SELECT coalesce(sum(n_requests - n_failed), 0)::bigint AS n,
           coalesce(sum(n_failed), 0)::bigint AS n_failed
    FROM truthline.buckets(CAST(:start AS timestamptz), CAST(:end AS timestamptz),
                           CAST(:width AS interval), CAST(:origin AS timestamptz), :zone) AS grid
    LEFT JOIN truthline.prediction_cells(CAST(:series AS integer[]), {BOUNDS}) AS cell USING (place)
    GROUP BY grid.place ORDER BY grid.place
""")
# Python's calendar begins with the year 1; what is skipped lies a month before the window.
_EXPLAIN = text(f"""
    SELECT source, greatest(learned_from, TIMESTAMPTZ '0001-01-01 00:00:00+00'),
           learned_until, n
    FROM truthline.explain('outcome', CAST(:series AS integer[]), {BOUNDS})
""")
