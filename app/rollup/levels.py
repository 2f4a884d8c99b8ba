"""The levels as the database describes them, and what maintains each."""

from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Level:
    """Cells per span of the learned clock, computed from `source`.

    `source` is the raw table, or a finer level of the same subject. TimescaleDB maintains a level
    that is not `folded`. A `recent` one counts what whole spans don't count yet. One that
    `collects` holds the numbers of its rows, not only sums.
    """

    name: str
    source: str
    raw_table: str
    folded: bool
    recent: bool
    collects: bool

    @property
    def from_raw(self) -> bool:
        """Whether it is computed from rows rather than cells."""
        return self.source == self.raw_table


def levels(conn: Connection) -> list[Level]:
    """All levels, each after the one that it is computed from, and recent ones last."""
    return [Level(*row) for row in conn.execute(_LEVELS)]


_LEVELS = text("""
    SELECT level.name, level.source, subject.source, kept_by = 'fold', recent,
           EXISTS (SELECT FROM level_column AS c WHERE c.subject = level.subject AND collected)
    FROM level JOIN subject ON subject.name = level.subject
    ORDER BY recent, level.place
""")
