"""What a replica takes off the primary: the processor time of its server per question.

A primary and a streaming replica of it, each on this machine. The same questions are asked of a
service without the replica and of one with it. What is left on the primary looks up the key and
says, once per second, where the log ends. Run it with

    python -m bench.replica [predictions] [questions]
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from app.config import Settings
from app.embedded.server import running
from app.store.database import Database
from app.store.migration import upgrade
from bench.data import generate
from bench.database import cluster
from bench.load import PATIENCE_SECONDS, load, served
from bench.questions import QUESTIONS, by_http
from bench.report import Sample, heading, note
from bench.servers import serving
from tests.replicas import standby_of

RESOLUTION = 0.01  # seconds, of the processor's time
ROUNDS = 3
KEPT_SECONDS = 60.0


def main(rows: int = 400_000, questions: int = 200) -> None:
    """Print milliseconds of the primary's processor per question, without the replica and with."""
    with tempfile.TemporaryDirectory(prefix="truthline-bench-") as name:
        primary = cluster(Path(name) / "primary")
        with running(primary) as url:
            fill(url, rows)
            standby = standby_of(url, Path(name) / "standby")
            heading()
            with running(standby) as read_url, service(url, read_url) as with_replica:
                wait_for_replica(with_replica)
                ours = [of_primary(primary.data, with_replica, questions) for _ in range(ROUNDS)]
            with service(url, "") as alone:
                theirs = [of_primary(primary.data, alone, questions) for _ in range(ROUNDS)]
    note(
        "the primary's processor per question",
        Sample("with a replica", ours),
        Sample("without", theirs),
    )


def fill(url: str, rows: int) -> None:
    """The common rows, loaded over HTTP."""
    upgrade(url)
    database = Database.from_settings(Settings(database_url=url, statement_timeout_ms=0))
    try:
        with served(database) as client:
            load(database, client, generate(rows))
    finally:
        database.dispose()


@contextmanager
def service(url: str, read_url: str) -> Iterator[httpx.Client]:
    """A client of a service without a worker, whose work would be counted too."""
    command = [sys.executable, "-m", "app.cli", "serve", "--no-auth", "--no-worker"]
    where = {"TRUTHLINE_DATABASE_URL": url, "TRUTHLINE_READ_DATABASE_URL": read_url}
    with (
        serving(command, "/readyz", **where) as address,
        httpx.Client(base_url=address, timeout=PATIENCE_SECONDS) as client,
    ):
        yield client


def wait_for_replica(client: httpx.Client) -> None:
    """Wait until the replica has everything that was loaded."""
    deadline = time.monotonic() + KEPT_SECONDS
    while True:
        lag = client.get("/readyz").json()["replica"]["lagSeconds"]
        if lag is not None and lag < 1:
            return
        if time.monotonic() > deadline:
            raise TimeoutError("the replica does not follow")
        time.sleep(0.1)


def of_primary(data: Path, client: httpx.Client, questions: int) -> float:
    """Seconds of the processor that the primary's server spends on one of the questions."""
    asked = list(QUESTIONS.values())
    for question in asked:
        by_http(client, question)  # connections and plans are there
    before = processor_seconds(data)
    for number in range(questions):
        by_http(client, asked[number % len(asked)])
    return max(processor_seconds(data) - before, RESOLUTION) / questions


def processor_seconds(data: Path) -> float:
    """Of the server that runs on this directory, with its processes, also those that ended."""
    server = psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))
    alive = sum(sum(process.cpu_times()[:2]) for process in server.children())
    ended_too: float = sum(server.cpu_times()[:4])
    return alive + ended_too


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
