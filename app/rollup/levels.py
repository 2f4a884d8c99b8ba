"""The levels as the database describes them, and what maintains each."""

from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Level:
    """Cells per span of the learned clock, computed from `source`.

    `source` is the raw table if `from_raw`, otherwise a finer level. TimescaleDB maintains a level
    that is not `folded`.
    """

    name: str
    source: str
    from_raw: bool
    folded: bool


def levels(conn: Connection) -> list[Level]:
    """All levels, each after the one that it is computed from."""
    return [Level(*row) for row in conn.execute(_LEVELS)]


_LEVELS = text("""
    SELECT level.name, level.source, level.source = subject.source, kept_by = 'fold'
    FROM level JOIN subject ON subject.name = level.subject
    ORDER BY level.place
""")
