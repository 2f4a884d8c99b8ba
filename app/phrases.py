"""Words that the API, the pages and the terminal share."""

from collections.abc import Sequence
from datetime import timedelta


def faults_in_words(open_faults: int, repaired_faults: int) -> str:
    """How many spans an audit found wrong, as a cell of a table; empty where none."""
    words = [
        f"{number:,} {state}"
        for number, state in ((open_faults, "open"), (repaired_faults, "repaired"))
        if number
    ]
    return ", ".join(words)


def duration(lag: timedelta) -> str:
    """Days, hours and minutes, the largest two."""
    minutes = int(lag.total_seconds()) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


# Of a list in a sentence; members of an answer have all.
FEW = 3


def first_few(texts: Sequence[str]) -> str:
    """The first texts of a list, and how many more there are."""
    more = [f"and {len(texts) - FEW} more"] if len(texts) > FEW else []
    return ", ".join([*texts[:FEW], *more])


EXTENSION_MISSING = (
    "the server has TimescaleDB, but this database doesn't use it: its tables are plain. To use it,"
    " drop this database, create it again with 'CREATE EXTENSION timescaledb' as its owner or a"
    " superuser, and run 'truthline db upgrade'"
)
