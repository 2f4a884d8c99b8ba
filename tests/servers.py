"""The PostgreSQL server that the tests run on, by edition."""

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.embedded.server import Cluster, embedded_binaries, running

# The suite needs correctness, not durability.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
TIMESCALEDB = {
    "shared_preload_libraries": "timescaledb",
    "timescaledb.telemetry_level": "off",
    "timescaledb.max_background_workers": "4",
}
EDITIONS = {
    "postgres": {},
    "community": TIMESCALEDB,
    "apache": TIMESCALEDB | {"timescaledb.license": "apache"},
}


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def edition() -> str:
    """The edition that the suite runs on; for a given server, the server's own."""
    return os.environ.get("TRUTHLINE_TEST_EDITION", "postgres")


@contextmanager
def server_url() -> Iterator[str]:
    """A server: the given one, or one of our own on a directory that goes away.

    A given server is one with TimescaleDB; the embedded edition is always our own.
    """
    given = os.environ.get("TRUTHLINE_TEST_DATABASE_URL")
    if given and edition() != "postgres":
        yield given
        return
    with (
        tempfile.TemporaryDirectory(prefix="truthline-test-") as directory,
        running(
            Cluster(directory=Path(directory), binaries=binaries(), settings=server_settings())
        ) as url,
    ):
        yield url


def server_settings() -> dict[str, str]:
    """What the edition's server is started with."""
    return FAST | EDITIONS[edition()]


def binaries() -> Path:
    """Where the edition's server is."""
    if edition() == "postgres":
        return embedded_binaries()
    found = timescaledb_binaries()
    if found is None:
        pytest.exit(f"no PostgreSQL with TimescaleDB on this machine for edition {edition()}", 3)
    return found


def timescaledb_binaries() -> Path | None:
    """The bin directory of a PostgreSQL that has the extension, the newest first."""
    named = [Path(part) / "pg_config" for part in os.get_exec_path()]
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_config"), reverse=True)
    return next((p.parent for p in [*packaged, *named] if p.exists() and _has_extension(p)), None)


def _has_extension(pg_config: Path) -> bool:
    asked = subprocess.run([pg_config, "--sharedir"], capture_output=True, text=True, check=False)
    shared = Path(asked.stdout.strip())
    return asked.returncode == 0 and (shared / "extension" / "timescaledb.control").exists()


if __name__ == "__main__":
    # For .ci/run: exit code 0 if the suite can run on TimescaleDB here.
    raise SystemExit(timescaledb_binaries() is None)
