"""A primary of the edition under test, and a streaming replica of it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from app.embedded.account import server_account
from app.embedded.server import Cluster, running
from tests.servers import binaries, server_settings

# Commits wait as an operator's do; and a standby that connects late finds what it lacks.
KEEPING = {"synchronous_commit": "on", "wal_keep_size": "512MB"}
STANDBY = {"hot_standby": "on", "wal_receiver_status_interval": "1s"}


@contextmanager
def primary_server(directory: Path) -> Iterator[str]:
    """A server of its own, which a backup of is small."""
    settings = server_settings() | KEEPING
    own = Cluster(directory=directory, binaries=binaries(), settings=settings)
    with running(own) as url:
        yield url


def standby_of(primary: str, directory: Path) -> Cluster:
    """A copy of a running server that goes on copying it once it runs."""
    cluster = Cluster(
        directory=directory, binaries=binaries(), settings=server_settings() | STANDBY
    )
    url = make_url(primary)
    host, port = (str(url.query.get(name) or getattr(url, name)) for name in ("host", "port"))
    where = ("-h", host, "-p", port, "-U", str(url.username), "-D", str(cluster.data))
    directory.mkdir(mode=0o711, parents=True)
    subprocess.run(
        [binaries() / "pg_basebackup", *where, "-R", "-X", "stream", "-c", "fast"],
        check=True,
        capture_output=True,
        env=os.environ | {"PGPASSWORD": url.password or ""},
    )
    _hand_over(cluster.data)
    return cluster


def _hand_over(data: Path) -> None:
    """Root makes the copy, and another account runs the server."""
    account = server_account(data)
    if account is not None:
        for path in (data, *data.rglob("*")):
            os.chown(path, account.user, account.group, follow_symlinks=False)
