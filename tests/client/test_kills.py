"""The server is killed and comes back in the middle of fifty batches of predictions."""

import itertools
import os
import signal
import subprocess
import time

from sqlalchemy import NullPool, create_engine, text
from truthline import Client, Counts, Limits

from tests.cli.test_commands import PATIENCE, TRUTHLINE, await_ready, environment
from tests.client.conftest import SOON
from tests.servers import free_port

ROWS = 40_000
STORED = text("SELECT count(*), count(DISTINCT request_id) FROM truthline_data.prediction")


def serve(database_url, port):
    """A server, in a process group of its own."""
    command = [*TRUTHLINE, "serve", "--no-auth", "--port", str(port)]
    process = subprocess.Popen(
        command,
        env=environment(TRUTHLINE_DATABASE_URL=database_url),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    await_ready(f"http://127.0.0.1:{port}", process)
    return process


def kill(process):
    """Master and worker at once, at any moment."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)


def log_until_sent(client, todo, sent):
    """Log rows, if any are left, until the server has acknowledged that many."""
    while client.stats().predictions.sent < sent:
        if next(todo, None) is None:
            time.sleep(0.001)
        else:
            client.log_prediction("pets", label="cat", confidence=0.5)


def test_all_are_stored_once(fresh_database_url):
    port, todo = free_port(), iter(range(ROWS))
    limits = Limits(max_rows=ROWS, batch_rows=800)
    with Client(f"http://127.0.0.1:{port}", backoff=SOON, limits=limits) as client:
        server = serve(fresh_database_url, port)
        log_until_sent(client, todo, ROWS // 4)
        kill(server)
        for _ in itertools.islice(todo, 2_000):  # while the server is down
            client.log_prediction("pets", label="cat", confidence=0.5)
        assert client.stats().predictions.sent < ROWS // 2
        server = serve(fresh_database_url, port)
        log_until_sent(client, todo, ROWS)
        assert client.stats().total == Counts(logged=ROWS, sent=ROWS)
        kill(server)

    engine = create_engine(fresh_database_url, poolclass=NullPool)
    with engine.connect() as conn:
        assert tuple(conn.execute(STORED).one()) == (ROWS, ROWS)
