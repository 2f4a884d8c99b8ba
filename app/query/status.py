"""What the database is and what it holds."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from app.store.edition import ServerInfo, server_info


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
        ]


def service_status(conn: Connection) -> Status:
    """Count everything. Cost: two full scans of the raw tables."""
    return Status(server_info(conn), *conn.execute(_COUNTS).one())


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


def _since(time: datetime | None) -> str:
    return f", the last received {time:%Y-%m-%d %H:%M:%S} UTC" if time else ""
