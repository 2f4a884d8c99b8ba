"""The whole command in a process of its own, on the embedded server."""

import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.demo.conftest import invoke

TRUTHLINE = Path(sys.executable).with_name("truthline")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def await_answer(url: str, patience_s: float = 60) -> bytes:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            with urlopen(url) as answer:
                return answer.read()
        except URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@pytest.fixture
def environment(tmp_path):
    return {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "COLUMNS": "100"}


def test_it_serves_what_it_printed_and_then_explains_how_to_serve_it_again(tmp_path, environment):
    data, port = tmp_path / "data of mine", free_port()
    command = [TRUTHLINE, "demo", "--data", data, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as served:
        page = await_answer(f"http://127.0.0.1:{port}/docs")
        served.terminate()
        printed = served.stdout.read()
    again = invoke("--once", "--data", str(data)).output

    assert page
    assert f"http://127.0.0.1:{port}/docs" in printed
    assert "Nothing new to store" in again
    assert f"truthline serve --no-auth --data {shlex.quote(str(data))}" in again
    assert "\x1b" not in printed + again
