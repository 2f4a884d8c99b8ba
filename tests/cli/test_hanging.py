"""The service while its database hangs, and clients that disconnect before the response."""

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
import requests

from tests.cli.test_commands import served

PATIENCE = 60
ALL_MODELS = "/api/v1/models?startTime=2026-01-01T00:00:00Z&endTime=2026-01-02T00:00:00Z"
# What the probes' path and headers are behind a proxy that strips the path, or passes it on.
PROXIES = (("", None), ("/below", None), ("/other", {"X-Forwarded-Prefix": "/other"}))
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


@contextmanager
def asking(base, path):
    with socket.create_connection(("127.0.0.1", urlsplit(base).port)) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        yield


def connection(data):
    return psycopg.connect(
        host=str(data / "postgres"), port=5432, user="truthline", dbname="truthline"
    )


def await_count(watching, number):
    deadline = time.monotonic() + PATIENCE
    while watching.execute(WAITING).fetchone()[0] != number:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_who_leaves_leaves_no_question_behind(tmp_path):
    data = tmp_path / "data"
    limits = {"TRUTHLINE_STATEMENT_TIMEOUT_MS": "600000", "TRUTHLINE_MAX_QUESTIONS": "8"}
    with (
        served(data, "--no-auth", "--no-worker", **limits) as base,
        connection(data) as locking,
        connection(data) as watching,
    ):
        watching.autocommit = True
        locking.execute("LOCK TABLE truthline_data.model, truthline_data.prediction")
        with asking(base, ALL_MODELS), asking(base, ALL_MODELS), asking(base, ALL_MODELS):
            await_count(watching, 3)
        await_count(watching, 0)
        locking.rollback()
        assert requests.get(base + ALL_MODELS, timeout=PATIENCE).status_code == 200
        metrics = requests.get(f"{base}/metrics", timeout=PATIENCE).text

    assert 'route="/api/v1/models",status="499"' in metrics


@contextmanager
def hanging(data):
    """The whole database server, stopped."""
    master = psutil.Process(int((data / "postgres" / "postmaster.pid").read_text().split()[0]))
    processes = [master, *master.children()]
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process.pid, signal.SIGCONT)


@pytest.mark.timeout(200)
def test_a_database_that_hangs_is_no_reason_to_hang(tmp_path):
    data = tmp_path / "data"
    limits = {
        "TRUTHLINE_STATEMENT_TIMEOUT_MS": "500",
        "TRUTHLINE_MAX_QUESTIONS": "8",
        "TRUTHLINE_PUBLIC_URL": "http://localhost/below",
    }
    with served(data, "--no-auth", "--no-worker", "--threads", "2", **limits) as base:

        def status(path, headers=None):
            return requests.get(base + path, headers=headers, timeout=PATIENCE).status_code

        assert status(ALL_MODELS) == 200
        with hanging(data), ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(status, ALL_MODELS) for _ in range(4)]
            for root, headers in PROXIES:
                assert status(f"{root}/livez", headers) == 200
            assert not any(one.done() for one in asked)  # all threads but the probes' are busy
            assert status("/below/readyz") == 503
            assert {one.result() for one in asked} == {503}
        assert status(ALL_MODELS) == 200
        assert status("/readyz") == 200
