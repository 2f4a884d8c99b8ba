"""The edition of the database: it decides who maintains rollups, never what a metric is."""

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
    """Versions of the database. `timescaledb` is that of the extension, None if absent.

    `extension_missing` is whether the server has loaded TimescaleDB, but this database lacks it.
    """

    edition: Edition
    postgres: str
    timescaledb: str | None
    extension_missing: bool = False


_INFO = text("""
    SELECT current_setting('server_version'),
           (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),
           current_setting('timescaledb.license', true),
           current_setting('timescaledb.disable_load', true) IS NOT NULL  -- its loader's
""")


def server_info(conn: Connection) -> ServerInfo:
    """Query the edition and versions. The licence distinguishes the two TimescaleDB editions."""
    postgres, timescaledb, licence, loaded = conn.execute(_INFO).one()
    missing = loaded and timescaledb is None
    return ServerInfo(_edition(timescaledb, licence), postgres, timescaledb, missing)


def _edition(timescaledb: str | None, licence: str | None) -> Edition:
    if timescaledb is None:
        return Edition.POSTGRES
    return Edition.COMMUNITY if licence == "timescale" else Edition.APACHE
