"""Recent levels: count what was received since the last whole learned hour, every few seconds.

A question would otherwise read up to two hours of rows one by one. A recent level is folded up to
any instant, and emptied as soon as the levels of hours count the same rows. Those of a raw table
that add up are one group, and those that collect numbers are another, which has so many cells that
it is folded less often. The rows of a group are waited for once, folded into all its levels, and
audited once writers have ended again:
so even a row is found that was stamped with a clock that went back in between.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy import text

from app.rollup.audit import audit_new, open_faults
from app.rollup.fold import Folded, append
from app.rollup.levels import Level
from app.rollup.levels import levels as all_levels
from app.rollup.merge import merge
from app.rollup.writers import writers_have_ended
from app.store.database import Database

# A fold ends this long before its own clock. The trigger `keep_updated` adds a latency that a
# prediction gets later (sql/machinery/25_updated.sql).
CLOCK_MARGIN = "1 second"
# Pauses between folds, and how many rows a cell has to count on average for folding that often.
SHORTEST_SECONDS, LONGEST_SECONDS = 10.0, 3600.0
ROWS_PER_CELL = 4
FEW_ROWS = 1000
# The shortest pause of levels that add up, while a fold of them all counts so many rows.
BUSY_SECONDS, BUSY_ROWS = 1.5, 20_000
# How many cells are added before they are merged, unless there are more.
MERGED_CELLS = 2000

Group = tuple[str, bool]  # a raw table, and whether numbers are collected
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Pace:
    """When a group of recent levels is folded next, and when its cells are merged.

    A cell must save reading some rows: with thousands of models of little traffic, what was
    received within seconds has as many cells as rows. Pauses double as long as that is so.
    """

    pause: float = SHORTEST_SECONDS
    due: float = 0.0
    appended: int = 0  # cells, since they were merged
    merged: int = MERGED_CELLS

    def note(self, done: Sequence[Folded], now: float, *, adds_up: bool = True) -> None:
        """Choose the next pause; `now` is on the monotonic clock, in seconds."""
        rows, cells = sum(folded.rows for folded in done), sum(folded.cells for folded in done)
        if rows >= FEW_ROWS:
            shortest = BUSY_SECONDS if adds_up and rows >= BUSY_ROWS else SHORTEST_SECONDS
            factor = 2.0 if rows < ROWS_PER_CELL * cells else 0.5
            self.pause = min(max(self.pause * factor, shortest), LONGEST_SECONDS)
        self.due = now + self.pause
        self.appended += cells if adds_up else 0

    def merge(self, database: Database, levels: Sequence[Level]) -> None:
        """Merge the cells once they have doubled, so that each is written twice on average."""
        if self.appended >= self.merged:
            self.merged = max(merge(database, levels), MERGED_CELLS)
            self.appended = 0


def refresh_recent(
    database: Database, until: datetime | None = None, paces: Mapping[Group, Pace] | None = None
) -> None:
    """Bring the recent levels up to date, at most until `until`, each group at its own pace.

    Without `paces` now; only with them the cells of many folds are merged. Cost: the rows received
    since the last time, read once per level and once more to audit it; a look-up if there are none.
    """
    with database.reading() as conn:
        recent = [level for level in all_levels(conn) if level.recent]
    for key, group in groupby(sorted(recent, key=_group), _group):
        pace, levels = Pace() if paces is None else paces[key], list(group)
        if time.monotonic() >= pace.due:
            done = fold_recent(database, levels, until)
            pace.note(done, time.monotonic(), adds_up=not levels[0].collects)
            if paces is not None:
                pace.merge(database, levels)


def _group(level: Level) -> Group:
    return level.raw_table, level.collects


def fold_recent(
    database: Database, levels: Sequence[Level], until: datetime | None = None
) -> list[Folded]:
    """Fold and audit a group of recent levels of one raw table, at most until `until`.

    Does nothing if no row was received, if a writer doesn't end in time, or before the levels of
    hours were first filled. A level that an audit finds wrong starts over.
    """
    _hand_over(database, levels)
    target = _settled(database, levels, until)
    if target is None:
        return []
    from_rows = [level for level in levels if level.from_raw]
    done = [_append(database, level, target) for level in from_rows]
    with database.reading() as conn:
        if not writers_have_ended(conn, levels[0].raw_table):
            return []
    for level in levels:
        if not level.from_raw:
            done.append(_append(database, level, target))
        _audit(database, level)
    return [folded for folded in done if folded]


def _hand_over(database: Database, levels: Sequence[Level]) -> None:
    """Let levels begin where those of hours end: delete the cells that these count now."""
    with database.reading() as conn:
        outdated = conn.execute(_OUTDATED, {"levels": _names(levels)}).scalars().all()
    for name in outdated:
        with database.writing() as conn:
            conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
            until = conn.execute(_LOCK_OUTDATED, {"level": name}).scalar_one_or_none()
            if until is not None:
                bounds = {"level": name, "until": until}
                bounds["end"] = conn.execute(_BEGIN_AT, bounds).scalar_one()
                conn.execute(text(_OUTSIDE.format(level=name)), bounds)


def _names(levels: Sequence[Level]) -> list[str]:
    return [level.name for level in levels]


def _settled(
    database: Database, levels: Sequence[Level], until: datetime | None
) -> datetime | None:
    """The moment to fold to, before which every row is visible; None if there are no new ones."""
    raw_table = levels[0].raw_table
    with database.writing() as conn:
        conn.execute(_SUMMARIZE, {"raw": raw_table})
    with database.reading() as conn:
        since = conn.execute(_COUNTED_UNTIL, {"levels": _names(levels)}).scalar_one()
        bounds = {"until": until, "margin": CLOCK_MARGIN}
        target: datetime = conn.execute(_TARGET, bounds).scalar_one()
        has_news = text(_HAS_NEWS.format(table=raw_table))
        span = {"since": since, "target": target}
        if since is None or not conn.execute(has_news, span).scalar_one():
            return None
        return target if writers_have_ended(conn, raw_table) else None


def _append(database: Database, level: Level, target: datetime) -> Folded | None:
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        parameters = {"level": level.name, "target": target}
        reached = conn.execute(_REACHED, parameters).scalar_one_or_none()
        return reached and append(conn, level, reached, CLOCK_MARGIN)


def _audit(database: Database, level: Level) -> None:
    for fault in [*open_faults(database, level), *audit_new(database, level, wait=False)]:
        _log.warning(
            "%s has %d of %d rows learned since %s: it starts over",
            level.name, fault.n_counted, fault.n_rows, fault.learned_from,
        )  # fmt: skip
        start_over(database, level)


def start_over(database: Database, level: Level) -> None:
    """Empty a level and those computed from it. Until the next fold, answers read its rows."""
    with database.writing() as conn:
        conn.execute(_START_OVER, {"level": level.name})


# A level with the end of the levels of hours of its subject.
_WITH_HOURS = """
    FROM level CROSS JOIN LATERAL (
        SELECT min(clean_until) FROM truthline_internal.levels() AS found
        JOIN level AS whole ON whole.name = found.name AND NOT whole.recent
        WHERE found.subject = level.subject AND found.learned_width = whole_span(level)
    ) AS hours (until)
"""
# Recent levels that begin before the hours end, or are empty and begin elsewhere.
_OUTDATED_LEVELS = f"""
    {_WITH_HOURS}
    WHERE level.recent AND isfinite(hours.until) AND hours.until <> level.learned_since
      AND (hours.until > level.learned_since OR level.learned_until = level.learned_since)
"""
_OUTDATED = text(f"""
    SELECT level.name {_OUTDATED_LEVELS} AND level.name = ANY (CAST(:levels AS text[]))
    ORDER BY level.place
""")
_LOCK_OUTDATED = text(f"""
    SELECT hours.until {_OUTDATED_LEVELS} AND level.name = :level FOR UPDATE OF level SKIP LOCKED
""")
_BEGIN_AT = text("""
    UPDATE level SET learned_since = :until,
        learned_until = CASE WHEN learned_until > learned_since THEN greatest(learned_until, :until)
                             ELSE :until END,
        audited_until = CASE WHEN learned_until > learned_since THEN greatest(audited_until, :until)
                             ELSE :until END
    WHERE name = :level
    RETURNING learned_until
""")
_OUTSIDE = "DELETE FROM {level} WHERE learned < :until OR learned >= :end"
_SUMMARIZE = text("CALL summarize(:raw)")
_TARGET = text("""
    SELECT least(CAST(:until AS timestamptz), clock_timestamp() - CAST(:margin AS interval))
""")
# NULL until the levels of hours were filled for the first time.
_COUNTED_UNTIL = text("""
    SELECT nullif(min(least(learned_until, audited_until)), '-infinity')
    FROM level WHERE name = ANY (CAST(:levels AS text[]))
""")
_HAS_NEWS = """
    SELECT EXISTS (SELECT FROM {table} WHERE received_at >= :since AND received_at < :target)
"""
# How far to fold a level: one made from another exactly as far as that one, whose cells can't be
# divided. No row if there is nothing to do, or if an empty level can't begin where hours end yet.
_REACHED = text(f"""
    SELECT reached {_WITH_HOURS}
    CROSS JOIN LATERAL (
        SELECT coalesce(truthline_internal.clean_until(level.source), :target)
    ) AS goal (reached)
    WHERE level.name = :level AND isfinite(learned_until)
      AND (learned_until > learned_since OR learned_since = hours.until)
      AND reached > learned_until AND reached <= :target
""")
_START_OVER = text("CALL start_over(:level)")
