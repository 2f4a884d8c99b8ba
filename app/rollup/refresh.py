"""Refresh: bring every level up to date, audit it, and repair faults.

The worker does this every minute; `truthline refresh` does it immediately.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from app.rollup.aggregates import recompute_aggregate, refresh_aggregate
from app.rollup.audit import Fault, audit, audit_new, open_faults
from app.rollup.fold import fold, refold
from app.rollup.levels import Level, levels
from app.rollup.recent import Group, Pace, refresh_recent, start_over
from app.store.database import Database

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A level, and until when it is clean; None if it isn't."""

    level: str
    clean_until: datetime | None


@dataclass(frozen=True, slots=True)
class Audited:
    """The faults that an audit of a level found, and those that could not be repaired."""

    level: str
    faults: Sequence[Fault]
    unrepaired: Sequence[Fault]


def refresh(
    database: Database, until: datetime | None = None, paces: Mapping[Group, Pace] | None = None
) -> list[Refreshed]:
    """Bring all levels up to date, at most until `until`, by default until now.

    Each level is audited before the next is computed from it. A level whose writers don't end in
    time is left for the next round. With `paces`, recent levels are filled only when they are due.
    Cost: what changed since the last time, read twice.

    Raises:
        Unavailable: another refresh doesn't end.
    """
    for level in _all_levels(database):
        if not level.recent:
            _fill(database, level, until)
            _repair(database, level, [*open_faults(database, level), *audit_new(database, level)])
    refresh_recent(database, until, paces)
    with database.reading() as conn:
        return [Refreshed(*row) for row in conn.execute(_CLEAN)]


def audit_levels(
    database: Database,
    name: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[Audited]:
    """Audit one level or all, the spans in [since, until) or all, and repair faults.

    Cost: all rows and cells from which those spans were computed are counted again.

    Raises:
        Unavailable: another refresh doesn't end.
    """
    for level in _all_levels(database):
        if name in {None, level.name}:
            faults = audit(database, level, since, until)
            yield Audited(level.name, faults, _repair(database, level, faults))


def _all_levels(database: Database) -> list[Level]:
    with database.reading() as conn:
        return levels(conn)


def _fill(database: Database, level: Level, until: datetime | None) -> None:
    if not level.folded:
        refresh_aggregate(database, level, until)
    elif folded := fold(database, level, until):
        _log.info("folded %s: %d cells until %s", folded.level, folded.cells, folded.until)


def _repair(database: Database, level: Level, faults: Sequence[Fault]) -> list[Fault]:
    """Recompute the cells of faulty spans; returns the faults that remain."""
    recompute: Callable[[Database, Level, datetime, datetime], None]
    recompute = refold if level.folded else recompute_aggregate
    if level.recent:
        recompute = _start_over
    return [
        remaining
        for fault in faults
        for remaining in _repair_span(database, level, fault, recompute)
    ]


def _start_over(database: Database, level: Level, _since: datetime, _until: datetime) -> None:
    start_over(database, level)


def _repair_span(
    database: Database,
    level: Level,
    fault: Fault,
    recompute: Callable[[Database, Level, datetime, datetime], None],
) -> list[Fault]:
    span = (fault.learned_from, fault.learned_until)
    _log.warning(
        "%s has %d of %d rows learned in [%s, %s): recomputing these cells",
        fault.level, fault.n_counted, fault.n_rows, *span,
    )  # fmt: skip
    recompute(database, level, *span)
    unrepaired = audit(database, level, *span)
    for remaining in unrepaired:
        _log.error(
            "%s can't be repaired: %d of %d rows", level.name, remaining.n_counted, remaining.n_rows
        )
    return unrepaired


_CLEAN = text("SELECT name, nullif(clean_until, '-infinity') FROM truthline_internal.levels()")
