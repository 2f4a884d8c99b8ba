"""The commands of our image, run as the compose file and the Dockerfile give them."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from app.embedded.server import embedded_binaries
from tests.deploy.compose import ROOT, services
from tests.deploy.conftest import TRUTHLINE, Deployed
from tests.servers import free_port

PATIENCE = 60  # seconds
# gunicorn ends with 0; a command of ours says, as a shell does, that it was asked to.
ENDED_WHEN_ASKED = {0, 128 + signal.SIGTERM}


def on_loopback(command: list[str], port: int) -> list[str]:
    """The same command, away from the port of another server and closed to the network."""
    moved = [argument.replace("8000", str(port)) for argument in command]
    return [argument.replace("0.0.0.0", "127.0.0.1") for argument in moved]  # noqa: S104


def image_command() -> list[str]:
    return json.loads(_argument(r"^CMD (\[.*\])$"))


def image_health_check() -> list[str]:
    return json.loads(_argument(r"^ +CMD (\[.*\])$"))


def _argument(pattern: str) -> str:
    return re.search(pattern, (ROOT / "Dockerfile").read_text(), re.MULTILINE)[1]


def api_health_check() -> list[str]:
    kind, *command = services()["api"]["healthcheck"]["test"]
    assert kind == "CMD"
    return command


def succeeds(health_check: list[str], port: int) -> bool:
    program, *arguments = on_loopback(health_check, port)
    assert program == "python"
    run = subprocess.run(
        [sys.executable, *arguments], capture_output=True, check=False, timeout=PATIENCE
    )
    return run.returncode == 0


def wait_until(is_so: Callable[[], bool], process: subprocess.Popen) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.2)


@contextmanager
def started(deployed: Deployed, service: str, command: list[str]) -> Iterator[subprocess.Popen]:
    """A process that is killed at the end, should it still run."""
    with subprocess.Popen(
        [TRUTHLINE, *command], env=deployed.environment(service), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def stop(process: subprocess.Popen) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(PATIENCE)


@pytest.mark.parametrize("command", [services()["api"]["command"], image_command()])
def test_the_api_becomes_ready_and_stops_when_asked(deployed, command: list[str]) -> None:
    port = free_port()
    assert not succeeds(api_health_check(), port)
    assert not succeeds(image_health_check(), port)
    with started(deployed, "api", on_loopback(command, port)) as api:
        wait_until(lambda: succeeds(api_health_check(), port), api)
        assert succeeds(image_health_check(), port)
        assert stop(api) in ENDED_WHEN_ASKED
    assert not succeeds(api_health_check(), port)


def test_the_api_without_migrations_lives_but_is_not_ready(
    deployed, empty_database_url: Callable[[str], str]
) -> None:
    port = free_port()
    command = on_loopback(services()["api"]["command"], port)
    empty = Deployed(deployed.url.set(database=empty_database_url().rpartition("/")[2]))
    with started(empty, "api", command) as api:
        wait_until(lambda: succeeds(image_health_check(), port), api)
        assert not succeeds(api_health_check(), port)


def test_the_worker_works_and_stops_when_asked(deployed) -> None:
    with started(deployed, "worker", services()["worker"]["command"]) as worker:
        assert "worker started" in worker.stderr.readline()
        assert stop(worker) in ENDED_WHEN_ASKED


def test_the_databases_health_check_detects_a_missing_server(deployed, tmp_path) -> None:
    kind, program, *arguments = services()["db"]["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "pg_isready")
    environment = deployed.environment("grants")

    def code(host: str) -> int:
        there = [argument.replace("127.0.0.1", host) for argument in arguments]
        command = [embedded_binaries() / program, *there]
        return subprocess.run(command, env=environment, check=False, timeout=PATIENCE).returncode

    assert code(environment["PGHOST"]) == 0
    assert code(str(tmp_path)) != 0
