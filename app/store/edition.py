"""Which edition of the database this is: it decides who keeps rollups, never what a metric is."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, text


class Edition(StrEnum):
    """What the database offers: both licences of TimescaleDB, or neither."""

    COMMUNITY = "community"
    APACHE = "apache"
    POSTGRES = "postgres"


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """The database as it is. `timescaledb` is the extension's version, None where absent."""

    edition: Edition
    postgres: str
    timescaledb: str | None


_INFO = text("""
    SELECT current_setting('server_version'),
           (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),
           current_setting('timescaledb.license', true)
""")


def server_info(conn: Connection) -> ServerInfo:
    """Ask the database what it is. The licence decides between the two TimescaleDB editions."""
    postgres, timescaledb, licence = conn.execute(_INFO).one()
    return ServerInfo(_edition(timescaledb, licence), postgres, timescaledb)


def _edition(timescaledb: str | None, licence: str | None) -> Edition:
    if timescaledb is None:
        return Edition.POSTGRES
    return Edition.COMMUNITY if licence == "timescale" else Edition.APACHE
