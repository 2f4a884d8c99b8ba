"""Exports by a real server: of any length, to clients that are slow, that leave, or that must learn
that their file is not complete.
"""

import socket
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest
import requests

from tests.cli.test_commands import served

PATIENCE = 60
ROWS = 40_000
EXPORT = "/api/v1/export/predictions?model=m"
LIMITS = {"TRUTHLINE_POOL_SIZE": "1", "TRUTHLINE_MAX_EXPORTS": "1"}
# They are not put into the key's table, which no export reads.
FILL = """
    INSERT INTO truthline_data.prediction (time, series_id, label_id, confidence, batch_index,
        starts_request, starts_label, failed, request_id)
    SELECT TIMESTAMPTZ '2026-01-01 00:00:00+00' + n * INTERVAL '57 s', s.id, l.id, 0.5, 0,
           true, true, false, 'request-' || n
    FROM generate_series(1, %s - 1) AS n, truthline_data.series AS s, truthline_data.label AS l
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Where the server stores its rows."""
    return tmp_path_factory.mktemp("exports") / "data"


@pytest.fixture(scope="module")
def base(data):
    """A server with one connection, and a model of many predictions."""
    options = ("--no-auth", "--no-worker", "--threads", "4")
    with served(data, *options, **LIMITS) as base:
        row = {"model": "m", "label": "a", "requestId": "request-0", "confidence": 0.5}
        row["time"] = "2026-01-01T00:00:00Z"
        requests.post(f"{base}/api/v1/predictions", json={"predictions": [row]}, timeout=PATIENCE)
        with connection(data) as conn:
            conn.execute(FILL, [ROWS])
        yield base


def connection(data):
    host = str(data / "postgres")
    return psycopg.connect(host=host, user="truthline", dbname="truthline", autocommit=True)


@contextmanager
def reading_slowly(base, version="1.1"):
    """A client that has received the head of an export, and reads no further for now."""
    asked = f"GET {EXPORT} HTTP/{version}\r\nHost: localhost\r\n\r\n".encode()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.settimeout(PATIENCE)
            sock.connect(("127.0.0.1", urlsplit(base).port))
            sock.sendall(asked)
            if b" 200 OK\r\n" in sock.recv(20):
                yield sock
                return
        time.sleep(0.02)  # the export before it ends once its client is known to have left
    pytest.fail("an export did not end")


def others(conn):
    """Sessions that are in a transaction."""
    [count] = conn.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'"
    ).fetchone()
    return count


def await_that(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def status(base, path=EXPORT):
    with requests.get(base + path, stream=True, timeout=PATIENCE) as answer:
        return answer.status_code


def test_who_reads_slowly_holds_no_connection(base, data):
    with connection(data) as conn, reading_slowly(base):
        await_that(lambda: not others(conn))
        assert status(base, "/api/v1/models") == 200  # with the only connection
        assert status(base) == 429
    with reading_slowly(base):
        pass


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_what_is_broken_off_does_not_look_complete(base, data, version):
    """Also where the end of a body is that of the connection."""
    with connection(data) as conn, reading_slowly(base, version) as sock:
        conn.execute("INSERT INTO truthline_data.retention VALUES ('prediction', '2000-01-01')")
        try:
            end = b""
            while part := sock.recv(65536):
                end = part
            is_reset = False
        except ConnectionResetError:
            is_reset = True
        finally:
            conn.execute("DELETE FROM truthline_data.retention")
    assert is_reset or version == "1.1"
    assert not end.endswith(b"0\r\n\r\n")
