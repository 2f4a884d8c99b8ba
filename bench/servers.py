"""Servers of a case: each a process of its own on a free port of loopback."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import requests

from app.store.database import Database

PATIENCE_SECONDS = 300


@contextmanager
def truthline(database: Database, *options: str) -> Iterator[str]:
    """The URL of `truthline serve` over a database."""
    url = database.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "app.cli", "serve", *options]
    with serving(command, "/readyz", TRUTHLINE_DATABASE_URL=url) as address:
        yield address


@contextmanager
def serving(
    command: list[str], ready: str, cwd: str | None = None, **environment: str
) -> Iterator[str]:
    """The URL of a server, from when it answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env=os.environ | environment,
            cwd=cwd,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _await_answer(process, url + ready, log)
            yield url
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def _await_answer(process: subprocess.Popen[bytes], url: str, log: IO[bytes]) -> None:
    """Wait until a server answers.

    Raises:
        RuntimeError: it ended, or took too long; with what it said.
    """
    for _ in range(PATIENCE_SECONDS * 10):
        if process.poll() is not None:
            break
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    log.seek(0)
    raise RuntimeError(f"no answer from {url}:\n{log.read().decode()}")
