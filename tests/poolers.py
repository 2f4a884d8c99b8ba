"""PgBouncer in transaction mode, in front of the server that the tests run on."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, make_url

from app.embedded.account import Account, open_way
from tests.servers import free_port

PGBOUNCER = os.environ.get("TRUTHLINE_TEST_PGBOUNCER") or shutil.which(
    "pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
)
PATIENCE = 30
# Each transaction gets another server connection than the last, as on a busy pooler.
CONFIG = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = trust
auth_file = {users}
admin_users = {user}
pool_mode = transaction
default_pool_size = {size}
server_round_robin = 1
max_client_conn = 200
query_wait_timeout = 20
{more}
"""


@contextmanager
def pooling(server: str, directory: Path, *, size: int = 4, more: str = "") -> Iterator[URL]:
    """A pooler for all databases of a server; yields the URL to set a database in."""
    if PGBOUNCER is None:
        pytest.skip("NO PGBOUNCER ON THIS MACHINE: nothing has tried a pooler")
    url, listen = make_url(server), free_port()
    host, port = (url.query.get(name) or getattr(url, name) for name in ("host", "port"))
    users, config = directory / "users.txt", directory / "pgbouncer.ini"
    users.write_text(f'"{url.username}" "{url.password or ""}"\n')
    config.write_text(
        CONFIG.format(
            host=host,
            port=port or 5432,
            listen=listen,
            users=users,
            user=url.username,
            size=size,
            more=more,
        )
    )
    pooled = url.set(host="127.0.0.1", port=listen, query={})
    log = directory / "pgbouncer.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [PGBOUNCER, config], stderr=errors, **_account(str(host), directory)
        ) as process,
    ):
        try:
            _await(pooled, process, log)
            yield pooled
        finally:
            process.terminate()


def _account(host: str, directory: Path) -> dict[str, Any]:
    """Run it as who may use the server's socket, or as nobody: it refuses to run as root."""
    if os.geteuid():
        return {}
    nobody = pwd.getpwnam("nobody")
    user, group = nobody.pw_uid, nobody.pw_gid
    if host.startswith("/") and Path(host).stat().st_uid:
        user, group = Path(host).stat().st_uid, Path(host).stat().st_gid
    open_way(directory / "pgbouncer.ini", Account(user, group))
    for path in directory.iterdir():
        os.chown(path, user, group)
    return {"user": user, "group": group, "extra_groups": []}


def _await(pooled: URL, process: subprocess.Popen[bytes], log: Path) -> None:
    own = pooled.set(drivername="postgresql", database="pgbouncer").render_as_string(False)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            psycopg.connect(own, autocommit=True).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("pgbouncer does not listen")
