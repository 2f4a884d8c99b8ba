"""What the database is and what it holds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, text

from app.store.edition import ServerInfo, server_info


@dataclass(frozen=True, slots=True)
class LevelStatus:
    """A level: its cells, and until when it is clean (None: never folded)."""

    name: str
    cells: int
    clean_until: datetime | None

    def in_words(self) -> str:
        """As a cell of a table."""
        clean = (
            f"clean until {self.clean_until:%F %T} UTC" if self.clean_until else "not folded yet"
        )
        return f"{self.cells:,} cells, {clean}"


@dataclass(frozen=True, slots=True)
class Status:
    """Counts are rows; times are when the newest was received, None where there is none."""

    server: ServerInfo
    workspaces: int
    models: int
    series: int
    predictions: int
    outcomes: int
    pending_feedback: int
    last_prediction: datetime | None
    last_outcome: datetime | None
    levels: Sequence[LevelStatus] = ()

    def rows(self) -> list[tuple[str, str]]:
        """Name and value, in words."""
        timescaledb = self.server.timescaledb
        extension = f", TimescaleDB {timescaledb}" if timescaledb else ""
        return [
            ("edition", self.server.edition),
            ("server", f"PostgreSQL {self.server.postgres}{extension}"),
            ("workspaces", f"{self.workspaces:,}"),
            ("models", f"{self.models:,} in {self.series:,} series"),
            ("predictions", f"{self.predictions:,}{_since(self.last_prediction)}"),
            ("outcomes", f"{self.outcomes:,}{_since(self.last_outcome)}"),
            ("pending feedback", f"{self.pending_feedback:,}"),
            *((f"level {level.name}", level.in_words()) for level in self.levels),
        ]


def service_status(conn: Connection) -> Status:
    """Count everything. Cost: two full scans of the raw tables."""
    counted = Status(server_info(conn), *conn.execute(_COUNTS).one())
    return replace(counted, levels=[LevelStatus(*row) for row in conn.execute(_LEVELS)])


_COUNTS = text("""
    SELECT (SELECT count(*) FROM workspace),
           (SELECT count(*) FROM model),
           (SELECT count(*) FROM series),
           p.n, o.n,
           (SELECT count(*) FROM pending_feedback),
           p.last, o.last
    FROM (SELECT count(*) AS n, max(received_at) AS last FROM prediction) AS p,
         (SELECT count(*) AS n, max(received_at) AS last FROM outcome) AS o
""")


_LEVELS = text("""
    SELECT level.name, cells.n, nullif(level.learned_until, '-infinity')
    FROM level
    JOIN (SELECT 'outcome_1h' AS name, count(*) AS n FROM outcome_1h
          UNION ALL SELECT 'outcome_1d', count(*) FROM outcome_1d
          UNION ALL SELECT 'outcome_1mo', count(*) FROM outcome_1mo) AS cells USING (name)
    ORDER BY level.learned_until DESC, level.name
""")


def _since(time: datetime | None) -> str:
    return f", the last received {time:%Y-%m-%d %H:%M:%S} UTC" if time else ""
