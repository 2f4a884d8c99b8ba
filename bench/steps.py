r"""Step metrics compared with MLflow's tracking server, on one PostgreSQL, in one run.

Both are asked through their published client and answer over HTTP from a server as its documents
start it: log 100,000 values in the largest batches each takes, read one list of 50,000, read the
last values of 100 names. So Truthline asks for a key, and MLflow for nothing: the last question,
which is small enough for that to count, is asked again with both doors open (`--no-auth`) and with
both locked (MLflow's accounts). The floor is the SDK at a server that has the answer to it ready:
what no server could do without.

Rounds go back and forth, so that what disturbs the machine disturbs both; the fastest counts.
MLflow lives in an environment of its own:

    .venv/bin/uv venv .venv/mlflow
    .venv/bin/uv pip sync --require-hashes --python .venv/mlflow/bin/python \
        bench/requirements-mlflow.lock
    python -m bench.steps [rounds]

TRUTHLINE_DATABASE_URL names a server; without, an embedded one is started.
"""

import itertools
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

import psutil
import requests
from craft_ai_sdk import CraftAiSdk
from sqlalchemy import URL, text

from app.auth.keys import Role, create_key
from app.store.database import Database
from bench.database import another_database, fresh_database

MLFLOW = Path(sys.prefix) / "mlflow" / "bin"
PATIENCE_SECONDS = 300
VALUES, LISTS, NAMES = 50_000, 2, 100
QUESTIONS = {
    "log": "log 100,000 values",
    "list": "read a list of 50,000",
    "last": "read the last of 100 names",
}
TRIES = {"log": 1, "list": 3, "last": 50}  # in each round
WITH_ACCOUNTS = ("--app-name", "basic-auth")
PASSWORD = secrets.token_urlsafe()
ENVIRONMENT = {  # of MLflow's server and client; what is of accounts is idle without them
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(),
    "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
    "MLFLOW_TRACKING_USERNAME": "admin",
    "MLFLOW_TRACKING_PASSWORD": PASSWORD,
}
Ask = Callable[[str], float]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: who is asked what."""

    said: str
    what: str
    ours: Ask
    theirs: Ask


def main(rounds: int = 5) -> None:
    """Print milliseconds of both, and how many times as long MLflow takes."""
    with ExitStack() as stack:
        database = stack.enter_context(fresh_database())
        describe(database)
        floor = stack.enter_context(ready_answer())
        table = list(rows(stack, database))
        times = [one_round(floor, table) for _ in range(rounds)]
    lowest, *best = [1000 * min(column) for column in zip(*times, strict=True)]
    print(f"{'milliseconds, the fastest':44}{'Truthline':>10}{'MLflow':>10}{'ratio':>8}")
    for row, mine, other_one in zip(table, best[::2], best[1::2], strict=True):
        print(f"{row.said:44}{mine:10.1f}{other_one:10.1f}{other_one / mine:8.1f}")
    print(f"{'floor: the SDK reads an answer that is there':44}{lowest:10.1f}")


def rows(stack: ExitStack, database: Database) -> Iterator[Row]:
    """The questions, each to two servers that run until the stack is left."""
    ours = stack.enter_context(truthline(database))
    theirs = stack.enter_context(mlflow(stack.enter_context(another_database(database))))
    for what, said in QUESTIONS.items():
        yield Row(said, what, ours, theirs)
    open_door = stack.enter_context(truthline(database, "--no-auth"))
    yield Row("the same, neither asks who it is", "last", open_door, theirs)
    accounts = stack.enter_context(
        mlflow(stack.enter_context(another_database(database)), *WITH_ACCOUNTS)
    )
    yield Row("the same, both ask: key, password", "last", ours, accounts)


def one_round(floor: Ask, table: Sequence[Row]) -> list[float]:
    """Seconds of the floor, and of both for each question."""
    pairs = [(fastest(row.ours, row.what), fastest(row.theirs, row.what)) for row in table]
    return [fastest(floor, "last"), *chain(*pairs)]


def fastest(ask: Ask, what: str) -> float:
    """Seconds of the fastest of a round's tries."""
    return min(ask(what) for _ in range(TRIES[what]))


def describe(database: Database) -> None:
    """Print what the database promises: both are on the same server."""
    names = ("server_version", "fsync", "synchronous_commit", "shared_preload_libraries")
    with database.reading() as conn:
        shown = {name: conn.execute(text(f"SHOW {name}")).scalar_one() for name in names}
    print(", ".join(f"{name} {value}" for name, value in shown.items()))


# --- ours ---------------------------------------------------------------------------------


@contextmanager
def truthline(database: Database, *options: str) -> Iterator[Ask]:
    """Truthline as `truthline serve` starts it, asked by Craft AI's SDK."""
    with database.writing() as conn:
        key = create_key(conn, 1, Role.ADMIN)
    url = database.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "app.cli", "serve", *options]
    with serving("Truthline", command, "/readyz", TRUTHLINE_DATABASE_URL=url) as address:
        peer = Ours(address, key)
        asks = {"log": peer.log, "list": peer.list, "last": peer.last}
        yield lambda what: timed(asks[what])


@contextmanager
def ready_answer() -> Iterator[Ask]:
    """The SDK's own share, and HTTP's: it is answered at once."""
    with serving("floor", [sys.executable, "-m", "bench.ready"], "/") as address:
        peer = Ours(address, "any")
        yield lambda _: timed(peer.last)


class Ours:
    """The same as MLflow's peer does, in the words of Craft AI's SDK."""

    def __init__(self, address: str, key: str) -> None:
        self.sdk = CraftAiSdk(sdk_token=key, environment_url=address, control_url=address)
        self.numbers = itertools.count()
        self.logged = ""
        with inside("named"):
            for number in range(NAMES):
                self.sdk.record_metric_value(f"metric-{number}", 0.5)

    def log(self) -> None:
        """Log 100,000 values; the SDK makes batches of 10,000."""
        self.logged = f"run-{next(self.numbers)}"
        with inside(self.logged):
            for place in range(LISTS):
                values = [number / 7 for number in range(VALUES)]
                self.sdk.record_list_metric_values(f"list-{place}", values)

    def list(self) -> None:
        """Read the 50,000 values of one metric."""
        (row,) = self.sdk.get_list_metrics(name="list-1", execution_id=self.logged)
        assert len(row["values"]) == VALUES  # noqa: S101 - or the measurement means nothing

    def last(self) -> None:
        """Read the last values of 100 metrics."""
        found = self.sdk.get_metrics(execution_id="named")
        assert len(found) == NAMES  # noqa: S101 - as above


@contextmanager
def inside(execution: str) -> Iterator[None]:
    """Let the SDK think that it is in an execution."""
    os.environ["CRAFT_AI_EXECUTION_ID"] = execution
    yield
    del os.environ["CRAFT_AI_EXECUTION_ID"]


def timed(ask: Callable[[], None]) -> float:
    """Seconds of one try."""
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


# --- theirs -------------------------------------------------------------------------------


@contextmanager
def mlflow(database: URL, *options: str) -> Iterator[Ask]:
    """MLflow's server as `mlflow server` starts it, asked by its own client."""
    if not (MLFLOW / "mlflow").exists():
        sys.exit(f"there is no MLflow in {MLFLOW.parent}; see the top of bench/steps.py")
    store = database.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
    command = [str(MLFLOW / "mlflow"), "server", "--backend-store-uri", store, *options]
    with (
        tempfile.TemporaryDirectory(prefix="truthline-bench-mlflow-") as directory,
        serving("MLflow", command, "/health", cwd=directory, **ENVIRONMENT) as url,
        subprocess.Popen(
            [MLFLOW / "python", Path(__file__).with_name("mlflow_peer.py"), url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | ENVIRONMENT,
        ) as peer,
    ):
        answer(peer)
        yield lambda what: asked(peer, what)
        peer.terminate()


def asked(peer: subprocess.Popen[str], what: str) -> float:
    """Seconds that MLflow's client took."""
    assert peer.stdin is not None  # noqa: S101 - it is a pipe
    peer.stdin.write(what + "\n")
    peer.stdin.flush()
    return float(answer(peer))


def answer(peer: subprocess.Popen[str]) -> str:
    """The next line of the peer."""
    assert peer.stdout is not None  # noqa: S101 - it is a pipe
    line = peer.stdout.readline()
    if not line:
        raise RuntimeError("MLflow's client ended; it says why above")
    return line


# --- servers ------------------------------------------------------------------------------


@contextmanager
def serving(
    name: str, command: list[str], ready: str, cwd: str | None = None, **environment: str
) -> Iterator[str]:
    """The URL of a server on a free port of loopback, from when it answers."""
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
            await_answer(process, url + ready, log)
            print(
                f"{name}: {1 + len(psutil.Process(process.pid).children(recursive=True))} processes"
            )
            yield url
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def await_answer(process: subprocess.Popen[bytes], url: str, log: IO[bytes]) -> None:
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


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
