"""The embedded server stops while it is in use: a process that uses it restarts it."""

import os
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest
import requests

from tests.cli.test_commands import TRUTHLINE, contents, environment, served

PATIENCE = 60


def postmaster(data):
    return int((data / "postgres" / "postmaster.pid").read_text().split()[0])


def kill(data):
    os.kill(postmaster(data), signal.SIGKILL)


def await_true(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def is_ready(base):
    return requests.get(f"{base}/readyz", timeout=PATIENCE).ok


def send(base, request_id):
    row = {"model": "m", "label": "a", "requestId": request_id}
    return requests.post(
        f"{base}/api/v1/predictions", json={"predictions": [row]}, timeout=PATIENCE
    )


@pytest.mark.parametrize("arguments", [("--no-worker",), ("--workers", "2")])
def test_a_killed_server_comes_back(tmp_path, arguments):
    data = tmp_path / "data"
    with served(data, "--no-auth", *arguments) as base:
        assert send(base, "before").json()["accepted"] == 1
        for _ in range(2):
            kill(data)
            await_true(lambda: is_ready(base))
        assert send(base, "before").json()["duplicates"] == 1
        assert requests.get(f"{base}/livez", timeout=PATIENCE).ok
    assert not (data / "postgres" / "postmaster.pid").exists()


@contextmanager
def obstructed(data):
    """A disk that PostgreSQL can't write to: its log's directory is gone."""
    wal, away = data / "postgres" / "pg_wal", data / "postgres" / "pg_wal.away"
    wal.rename(away)
    try:
        yield
    finally:
        away.rename(wal)


def test_it_is_tried_again_until_it_can_be_started(tmp_path):
    data = tmp_path / "data"
    with served(data, "--no-auth", "--no-worker") as base:
        assert send(base, "before").json()["accepted"] == 1
        with obstructed(data):
            kill(data)
            await_true(lambda: "pg_wal" in (data / "postgres.log").read_text())
            assert requests.get(f"{base}/readyz", timeout=PATIENCE).status_code == 503
            assert requests.get(f"{base}/livez", timeout=PATIENCE).ok
        await_true(lambda: is_ready(base))
        assert send(base, "before").json()["duplicates"] == 1


def test_a_worker_restarts_it_and_logs_that(tmp_path):
    data = tmp_path / "data"
    command = [*TRUTHLINE, "worker", "--data", str(data)]
    with (tmp_path / "log").open("w+") as log:
        process = subprocess.Popen(command, env=environment(), stderr=log)
        try:
            await_true(lambda: "worker started" in contents(log))
            kill(data)
            await_true(lambda: "runs again" in contents(log))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
    assert not (data / "postgres" / "postmaster.pid").exists()
