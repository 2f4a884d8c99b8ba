"""The whole command in processes of its own, on the embedded server."""

import shlex
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import pytest

from tests.demo.conftest import invoke
from tests.demo.output import Output
from tests.servers import free_port

TRUTHLINE = Path(sys.executable).with_name("truthline")
PATIENCE_S = 240  # training and loading take 20 s on two idle cores


def await_answer(url: str) -> bytes:
    deadline = time.monotonic() + PATIENCE_S
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


def libraries(process: psutil.Process) -> set[str]:
    """The packages whose libraries a process has loaded, among other folders."""
    return {part for mapped in process.memory_maps() for part in Path(mapped.path).parts}


def test_it_trains_serves_and_goes_on_and_then_explains_how_to_serve_it(tmp_path, environment):
    data, port = tmp_path / "data of mine", free_port()
    command = [TRUTHLINE, "demo", "--data", data, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as served:
        page = await_answer(f"http://127.0.0.1:{port}/docs")
        main = psutil.Process(served.pid)
        children = main.children(recursive=True)
        mapped = set().union(*map(libraries, [main, *children]))
        replaying = [child for child in children if "app.demo.live" in child.cmdline()]
        served.terminate()
        printed = Output(served.stdout.read())
    psutil.wait_procs(children, timeout=PATIENCE_S)
    again = invoke("--once", "--data", str(data)).output

    assert page
    assert "psycopg_binary" in mapped
    assert not {"sklearn", "scipy", "numpy"} & mapped  # hundreds of megabytes
    assert len(replaying) == 1
    assert not replaying[0].is_running()
    assert min(printed.count("predictions"), printed.count("truths")) > 30_000
    (digits, *_) = printed.table("Since ")
    before, since = float(digits[2]), float(digits[3])
    assert before > 0.94
    assert since < min(0.93, before - 0.03)
    eights = printed.table("confusion matrix")[8]
    assert int(eights[9]) < 0.3 * sum(int(cell) for cell in eights[1:] if cell != "·")
    assert f"http://127.0.0.1:{port}/docs" in printed.urls
    assert "Stored before: predictions from 20" in again
    assert f"truthline serve --no-auth --data {shlex.quote(str(data))}" in again
    assert "\x1b" not in printed.text + again
