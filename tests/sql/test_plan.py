"""The planner's decisions: these levels and these edges give these pieces.

What the levels hold is given by hand: how far each is clean, and when the cells that edges cut were
learned. Times are of March 2026, written as "day hh:mm".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from sqlalchemy import text

M5, H, D = timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)
# as after 10 March, 14:00: months, days and hours are clean up to their last bound
CLEAN = {"1 month": "1", "1 day": "10", "1 hour": "10 14:00"}
NOTHING = dict.fromkeys(CLEAN)
ONLY_HOURS = NOTHING | {"1 hour": "10 14:00"}
RECENT = {"1 microsecond": "10 15:07"}

LEVELS = """
    CREATE OR REPLACE FUNCTION truthline_internal.levels()
    RETURNS TABLE (name text, subject text, event_width interval, learned_width interval,
                   clean_until timestamptz)
    LANGUAGE sql STABLE AS $$
        SELECT name, subject, event_width, learned_width, until
        FROM truthline_data.level
        JOIN (VALUES {bounds}) AS clean (width, until)
            ON CAST(width AS interval) = learned_width
        ORDER BY place
    $$
"""
LEARNED = """
    CREATE OR REPLACE FUNCTION truthline_internal.cells_learned(
        levels truthline_internal.source[], series integer[], places integer[],
        buckets timestamptz[]
    ) RETURNS TABLE (place integer, learned_from timestamptz, learned_until timestamptz)
    LANGUAGE sql STABLE AS $$
        SELECT cell.* FROM (SELECT 0, TIMESTAMPTZ '-infinity', TIMESTAMPTZ '-infinity' WHERE false
                            {cells}) AS cell (place, learned_from, learned_until)
        WHERE cell.place = ANY (places)
    $$
"""
RECENT_SINCE = text("UPDATE level SET learned_since = :since WHERE recent")
DROPPED = text("INSERT INTO retention (relation, since) VALUES ('outcome', :since)")
PLAN = text("""
    SELECT kind, source, learned_from, nullif(learned_until, 'infinity'), wide, narrow,
           places, signs, starts, ends
    FROM truthline_internal.plan(:subject, ARRAY[1], CAST(:edges AS timestamptz[]),
                        coalesce(CAST(:as_of AS timestamptz), 'infinity'))
""")


def at(when):
    """An instant of March 2026; of February where it begins with "Feb"."""
    month = 2 if when.startswith("Feb ") else 3
    day, _, clock = when.removeprefix("Feb ").partition(" ")
    hour, minute = map(int, (clock or "00:00").split(":"))
    return datetime(2026, month, int(day), hour, minute, tzinfo=UTC)


def spans(*bounds):
    """The instants at which spans start, and those at which they end."""
    return [at(start) for start, _ in bounds], [at(end) for _, end in bounds]


class Piece(NamedTuple):
    """A row of truthline_internal.plan; `learned_until` is None where there is no end."""

    kind: str
    source: str
    learned_from: datetime
    learned_until: datetime | None
    wide: timedelta | None
    narrow: timedelta | None
    places: list[int] | None
    signs: list[int] | None
    starts: list[datetime]
    ends: list[datetime]


def whole(source, since, until, width, start, end):
    return Piece(
        "whole", source, at(since), at(until), None, width, None, None, *spans((start, end))
    )


def tail(source, since, start, end, until=None):
    learned = (at(since), at(until) if until else None)
    return Piece("tail", source, *learned, None, None, None, None, *spans((start, end)))


def cut(kind, source, learned, widths, cuts):
    """`cuts` are (place, sign, start, end)."""
    places, signs, starts, ends = zip(*cuts, strict=True)
    bounds = spans(*zip(starts, ends, strict=True))
    return Piece(kind, source, *map(at, learned), *widths, list(places), list(signs), *bounds)


@dataclass(frozen=True)
class Case:
    """A query of levels, and the pieces of its answer.

    `clean` says until when each learned width is clean, `learned` when the cells were learned that
    edges cut: (place, since, until), and `dropped_before` since when rows of outcomes are kept.
    """

    edges: Sequence[str]
    pieces: Sequence[Piece]
    clean: Mapping[str, str | None]
    as_of: str | None = None
    subject: str = "outcome"
    learned: Sequence[tuple[int, str, str]] = ()
    dropped_before: str | None = None
    recent_since: str = "10 14:00"


CASES = {
    "without levels every row is read, since two days before the window": Case(
        clean=NOTHING,
        edges=["5", "6"],
        pieces=[tail("outcome", "3", "5", "6")],
    ),
    "aligned days are whole cells of months, days and hours, and a tail": Case(
        clean=CLEAN,
        edges=["5", "6", "7"],
        pieces=[
            whole("outcome_1d_1mo", "Feb 3", "1", D, "5", "7"),
            whole("outcome_1d_1d", "1", "10", D, "5", "7"),
            whole("outcome_1h_1h", "10", "10 14:00", D, "5", "7"),
            tail("outcome", "10 14:00", "5", "7"),
        ],
    ),
    "cells are no wider than the longest bucket": Case(
        clean=CLEAN,
        edges=["5 10:00", "5 11:00"],
        pieces=[
            whole("outcome_1h_1mo", "Feb 3 10:00", "1", H, "5 10:00", "5 11:00"),
            whole("outcome_1h_1d", "1", "10", H, "5 10:00", "5 11:00"),
            whole("outcome_1h_1h", "10", "10 14:00", H, "5 10:00", "5 11:00"),
            tail("outcome", "10 14:00", "5 10:00", "5 11:00"),
        ],
    ),
    "buckets shorter than any cell are read row by row": Case(
        clean=CLEAN,
        edges=["5 10:00", "5 10:03"],
        pieces=[tail("outcome", "3 10:00", "5 10:00", "5 10:03")],
    ),
    "levels that learned nothing since are skipped": Case(
        clean=CLEAN | {"1 day": "1", "1 hour": "1"},
        edges=["5", "6"],
        pieces=[
            whole("outcome_1d_1mo", "Feb 3", "1", D, "5", "6"),
            tail("outcome", "3", "5", "6"),
        ],
    ),
    "as of a moment before the clean bound, spans and tail end there": Case(
        clean=CLEAN,
        edges=["5 10:00", "5 11:00"],
        as_of="9 07:30",
        pieces=[
            whole("outcome_1h_1mo", "Feb 3 10:00", "1", H, "5 10:00", "5 11:00"),
            whole("outcome_1h_1d", "1", "9", H, "5 10:00", "5 11:00"),
            whole("outcome_1h_1h", "9", "9 07:00", H, "5 10:00", "5 11:00"),
            tail("outcome", "9 07:00", "5 10:00", "5 11:00", until="9 07:30"),
        ],
    ),
    "recent levels continue the hours": Case(
        clean=CLEAN | RECENT,
        edges=["5 10:00", "5 11:00"],
        pieces=[
            whole("outcome_1h_1mo", "Feb 3 10:00", "1", H, "5 10:00", "5 11:00"),
            whole("outcome_1h_1d", "1", "10", H, "5 10:00", "5 11:00"),
            whole("outcome_1h_1h", "10", "10 14:00", H, "5 10:00", "5 11:00"),
            whole("outcome_1h_recent", "10 14:00", "10 15:07", H, "5 10:00", "5 11:00"),
            tail("outcome", "10 15:07", "5 10:00", "5 11:00"),
        ],
    ),
    "recent levels that begin after the hours end are skipped": Case(
        clean=ONLY_HOURS | RECENT,
        recent_since="10 15:00",
        edges=["5 10:00", "5 11:00"],
        pieces=[
            whole("outcome_1h_1h", "Feb 3 10:00", "10 14:00", H, "5 10:00", "5 11:00"),
            tail("outcome", "10 14:00", "5 10:00", "5 11:00"),
        ],
    ),
    "recent levels that lag behind the hours are skipped": Case(
        clean=ONLY_HOURS | {"1 microsecond": "10 13:10"},
        recent_since="10 13:00",
        edges=["5 10:00", "5 11:00"],
        pieces=[
            whole("outcome_1h_1h", "Feb 3 10:00", "10 14:00", H, "5 10:00", "5 11:00"),
            tail("outcome", "10 14:00", "5 10:00", "5 11:00"),
        ],
    ),
    "a moment within recent levels does without them": Case(
        clean=ONLY_HOURS | RECENT,
        edges=["5 10:00", "5 11:00"],
        as_of="10 15:06",
        pieces=[
            whole("outcome_1h_1h", "Feb 3 10:00", "10 14:00", H, "5 10:00", "5 11:00"),
            tail("outcome", "10 14:00", "5 10:00", "5 11:00", until="10 15:06"),
        ],
    ),
    "as of a moment after the clean bound, only the tail ends there": Case(
        clean=ONLY_HOURS,
        edges=["5 10:00", "5 11:00"],
        as_of="10 15:30",
        pieces=[
            whole("outcome_1h_1h", "Feb 3 10:00", "10 14:00", H, "5 10:00", "5 11:00"),
            tail("outcome", "10 14:00", "5 10:00", "5 11:00", until="10 15:30"),
        ],
    ),
    "the first bucket takes what its edge adds to it, in narrower cells": Case(
        clean=CLEAN,
        edges=["4 20:00", "6", "7"],
        pieces=[
            whole("outcome_1d_1mo", "Feb 2 20:00", "1", D, "5", "7"),
            whole("outcome_1d_1d", "1", "10", D, "5", "7"),
            whole("outcome_1h_1h", "10", "10 14:00", D, "5", "7"),
            cut("ends", "outcome_1h_1mo", ("Feb 2 20:00", "1"), (D, H), [(1, 1, "4 20:00", "5")]),
            cut("ends", "outcome_1h_1d", ("1", "10"), (D, H), [(1, 1, "4 20:00", "5")]),
            cut("ends", "outcome_1h_1h", ("10", "10 14:00"), (D, H), [(1, 1, "4 20:00", "5")]),
            tail("outcome", "10 14:00", "4 20:00", "7"),
        ],
    ),
    "both ends are cut, each for its bucket": Case(
        clean=ONLY_HOURS,
        edges=["5 10:20", "5 12:00", "5 12:45"],
        pieces=[
            whole("outcome_1h_1h", "Feb 3 10:20", "10 14:00", H, "5 10:00", "5 13:00"),
            cut(
                "ends",
                "outcome_5m_1h",
                ("Feb 3 10:20", "10 14:00"),
                (H, M5),
                [(1, -1, "5 10:00", "5 10:20"), (2, -1, "5 12:45", "5 13:00")],
            ),
            tail("outcome", "10 14:00", "5 10:20", "5 12:45"),
        ],
    ),
    "what an edge inside cuts off counts on both of its sides": Case(
        clean=ONLY_HOURS,
        edges=["5 10:20", "5 11:20", "5 12:00"],
        pieces=[
            whole("outcome_1h_1h", "Feb 3 10:20", "10 14:00", H, "5 10:00", "5 12:00"),
            cut(
                "sides",
                "outcome_5m_1h",
                ("Feb 3 10:20", "10 14:00"),
                (H, M5),
                [(0, 1, "5 10:00", "5 10:20"), (1, 1, "5 11:00", "5 11:20")],
            ),
            tail("outcome", "10 14:00", "5 10:20", "5 12:00"),
        ],
    ),
    "days are cut in hours, hours in minutes, and minutes in rows": Case(
        clean=ONLY_HOURS,
        edges=["4 21:52", "7"],
        learned=[(0, "4 21:00", "4 23:00")],
        pieces=[
            whole("outcome_1h_1h", "Feb 2 21:52", "10 14:00", D, "5", "7"),
            cut(
                "ends",
                "outcome_1h_1h",
                ("Feb 2 21:52", "10 14:00"),
                (D, H),
                [(1, 1, "4 22:00", "5")],
            ),
            cut(
                "ends",
                "outcome_5m_1h",
                ("Feb 2 21:52", "10 14:00"),
                (H, M5),
                [(1, 1, "4 21:50", "4 22:00")],
            ),
            cut(
                "ends",
                "outcome",
                ("4 21:00", "4 23:00"),
                (M5, None),
                [(1, -1, "4 21:50", "4 21:52")],
            ),
            tail("outcome", "10 14:00", "4 21:52", "7"),
        ],
    ),
    "cut cells without rows have no piece": Case(
        clean=ONLY_HOURS,
        edges=["5 10:02", "5 11:00"],
        learned=[],
        pieces=[
            whole("outcome_5m_1h", "Feb 3 10:02", "10 14:00", M5, "5 10:00", "5 11:00"),
            tail("outcome", "10 14:00", "5 10:02", "5 11:00"),
        ],
    ),
    "each end is cut in rows that were learned when its cell was, up to the common instant": Case(
        clean=ONLY_HOURS,
        edges=["5 10:02", "5 10:58"],
        learned=[(1, "10 12:00", "10 16:00"), (0, "5 10:00", "6 10:00")],
        as_of="10 13:10",
        pieces=[
            whole("outcome_5m_1h", "Feb 3 10:02", "10 13:00", M5, "5 10:00", "5 11:00"),
            cut(
                "ends",
                "outcome",
                ("5 10:00", "6 10:00"),
                (M5, None),
                [(1, -1, "5 10:00", "5 10:02")],
            ),
            cut(
                "ends",
                "outcome",
                ("10 12:00", "10 13:00"),
                (M5, None),
                [(1, -1, "5 10:58", "5 11:00")],
            ),
            tail("outcome", "10 13:00", "5 10:02", "5 10:58", until="10 13:10"),
        ],
    ),
    "rows of an edge inside, and those of an end": Case(
        clean=ONLY_HOURS,
        edges=["5 10:02", "5 10:33", "5 11:00"],
        learned=[(0, "5 10:00", "5 11:00"), (1, "5 11:00", "5 12:00")],
        pieces=[
            whole("outcome_5m_1h", "Feb 3 10:02", "10 14:00", M5, "5 10:00", "5 11:00"),
            cut(
                "ends",
                "outcome",
                ("5 10:00", "5 11:00"),
                (M5, None),
                [(1, -1, "5 10:00", "5 10:02")],
            ),
            cut(
                "sides",
                "outcome",
                ("5 11:00", "5 12:00"),
                (M5, None),
                [(1, -1, "5 10:33", "5 10:35")],
            ),
            tail("outcome", "10 14:00", "5 10:02", "5 11:00"),
        ],
    ),
    "rows of more than four edges are read at once": Case(
        clean=ONLY_HOURS,
        edges=["5 10:02", "5 10:12", "5 10:22", "5 10:32", "5 10:42", "5 10:52"],
        learned=[(n, f"5 {10 + n}:00", f"5 {11 + n}:00") for n in (0, 2, 5)],
        pieces=[
            whole("outcome_5m_1h", "Feb 3 10:02", "10 14:00", M5, "5 10:00", "5 10:50"),
            cut(
                "sides",
                "outcome",
                ("5 10:00", "5 16:00"),
                (M5, None),
                [
                    (0, 1, "5 10:00", "5 10:02"),
                    (2, 1, "5 10:20", "5 10:22"),
                    (5, 1, "5 10:50", "5 10:52"),
                ],
            ),
            tail("outcome", "10 14:00", "5 10:02", "5 10:52"),
        ],
    ),
    "hours are cut in rows where no level is narrower": Case(
        clean=CLEAN,
        subject="score",
        edges=["5 10:20", "5 12:00"],
        learned=[(0, "5 10:00", "5 11:00")],
        pieces=[
            whole("score_1h_1h", "Feb 3 10:20", "10 14:00", H, "5 10:00", "5 12:00"),
            cut(
                "ends",
                "prediction",
                ("5 10:00", "5 11:00"),
                (H, None),
                [(1, -1, "5 10:00", "5 10:20")],
            ),
            tail("prediction", "10 14:00", "5 10:20", "5 12:00"),
        ],
    ),
    "where rows are dropped, a short bucket uses the narrowest cells": Case(
        clean=ONLY_HOURS,
        dropped_before="8",
        edges=["5 10:00", "5 10:03"],
        learned=[(1, "5 10:00", "5 11:00")],
        pieces=[
            whole("outcome_5m_1h", "Feb 3 10:00", "10 14:00", M5, "5 10:00", "5 10:05"),
            cut(
                "ends",
                "outcome",
                ("5 10:00", "5 11:00"),
                (M5, None),
                [(1, -1, "5 10:03", "5 10:05")],
            ),
            tail("outcome", "10 14:00", "5 10:00", "5 10:03"),
        ],
    ),
    "both ends within one cell": Case(
        clean=ONLY_HOURS,
        dropped_before="8",
        edges=["5 10:03", "5 10:04"],
        learned=[(0, "5 10:00", "5 11:00"), (1, "5 10:00", "5 12:00")],
        pieces=[
            whole("outcome_5m_1h", "Feb 3 10:03", "10 14:00", M5, "5 10:05", "5 10:05"),
            cut(
                "ends",
                "outcome",
                ("5 10:00", "5 11:00"),
                (M5, None),
                [(1, 1, "5 10:03", "5 10:05")],
            ),
            cut(
                "ends",
                "outcome",
                ("5 10:00", "5 12:00"),
                (M5, None),
                [(1, -1, "5 10:04", "5 10:05")],
            ),
            tail("outcome", "10 14:00", "5 10:03", "5 10:04"),
        ],
    ),
    "a window that begins long after rows were dropped has its own width": Case(
        clean=ONLY_HOURS,
        dropped_before="3",
        edges=["5 10:00", "5 10:03"],
        pieces=[tail("outcome", "3 10:00", "5 10:00", "5 10:03")],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_these_levels_and_edges_give_these_pieces(database, case):
    with database.engine.connect() as conn:  # never committed
        give(conn, case)
        asked = {
            "subject": case.subject,
            "edges": [at(edge) for edge in case.edges],
            "as_of": case.as_of and at(case.as_of),
        }
        assert [Piece(*row) for row in conn.execute(PLAN, asked)] == case.pieces


def give(conn, case):
    """Set how clean levels are, and when cells were learned, as in a case."""
    bounds = ", ".join(f"('{width}', {instant(until)})" for width, until in case.clean.items())
    conn.execute(text(LEVELS.format(bounds=bounds)))
    cells = "".join(
        f" UNION ALL SELECT {place}, {instant(since)}, {instant(until)}"
        for place, since, until in case.learned
    )
    conn.execute(text(LEARNED.format(cells=cells)))
    conn.execute(RECENT_SINCE, {"since": at(case.recent_since)})
    if case.dropped_before:
        conn.execute(DROPPED, {"since": at(case.dropped_before)})


def instant(when):
    if when is None:
        return "TIMESTAMPTZ '-infinity'"
    return f"TIMESTAMPTZ '{at(when)}'".replace(":", "\\:")


def test_cuts_of_both_ends_that_overlap_have_two_sides(database):
    """One number could not go with each of them."""
    edges = [at("5 10:03"), at("5 10:04")]
    with database.reading() as conn:
        kind = conn.execute(
            text("SELECT kind FROM truthline_internal.cut(:edges, '5 minutes', NULL)"),
            {"edges": edges},
        ).scalar_one()
    assert kind == "sides"
