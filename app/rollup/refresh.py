"""Refresh: bring every level up to date, whoever keeps it, audit it, and heal what is wrong.

The worker does so each minute; `truthline refresh` is for whoever doesn't want to wait.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from app.rollup.aggregates import refresh_again, refresh_aggregate
from app.rollup.audit import Fault, audit, audit_new, open_faults
from app.rollup.fold import fold, fold_again
from app.rollup.levels import Level, levels
from app.store.database import Database

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A level and until when it is clean now; None while it is not."""

    level: str
    clean_until: datetime | None


@dataclass(frozen=True, slots=True)
class Audited:
    """What an audit of a level found, and what of it could not be healed."""

    level: str
    faults: Sequence[Fault]
    unhealed: Sequence[Fault]


def refresh(database: Database, until: datetime | None = None) -> list[Refreshed]:
    """Bring all levels up to date, as far as `until`, by default to now.

    Each is audited before the next is made from it. A level whose writers don't end in time is
    left for the next round. Cost: what changed since the last time, read twice.

    Raises:
        Unavailable: a refresh by somebody else doesn't end.
    """
    for level in _all_levels(database):
        _fill(database, level, until)
        _heal(database, level, [*open_faults(database, level), *audit_new(database, level)])
    with database.reading() as conn:
        return [Refreshed(*row) for row in conn.execute(_CLEAN)]


def audit_levels(
    database: Database,
    name: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[Audited]:
    """Audit one level or all, the spans in [since, until) or all, and heal what is wrong.

    Cost: everything that those spans were made from is counted again.

    Raises:
        Unavailable: a refresh by somebody else doesn't end.
    """
    for level in _all_levels(database):
        if name in {None, level.name}:
            faults = audit(database, level, since, until)
            yield Audited(level.name, faults, _heal(database, level, faults))


def _all_levels(database: Database) -> list[Level]:
    with database.reading() as conn:
        return levels(conn)


def _fill(database: Database, level: Level, until: datetime | None) -> None:
    if not level.folded:
        refresh_aggregate(database, level, until)
    elif folded := fold(database, level, until):
        _log.info("folded %s: %d cells until %s", folded.level, folded.cells, folded.until)


def _heal(database: Database, level: Level, faults: Sequence[Fault]) -> list[Fault]:
    """Make the cells of faulty spans again; returns what is still wrong after that."""
    again: Callable[[Database, Level, datetime, datetime], None]
    again = fold_again if level.folded else refresh_again
    return [left for fault in faults for left in _heal_span(database, level, fault, again)]


def _heal_span(
    database: Database,
    level: Level,
    fault: Fault,
    again: Callable[[Database, Level, datetime, datetime], None],
) -> list[Fault]:
    span = (fault.learned_from, fault.learned_until)
    _log.warning(
        "%s held %d of %d rows learned in [%s, %s): making these cells again",
        fault.level, fault.n_counted, fault.n_rows, *span,
    )  # fmt: skip
    again(database, level, *span)
    unhealed = audit(database, level, *span)
    for left in unhealed:
        _log.error("%s can't be healed: %d of %d rows", level.name, left.n_counted, left.n_rows)
    return unhealed


_CLEAN = text("SELECT name, nullif(clean_until, '-infinity') FROM truthline_internal.levels()")
