"""Step metrics next to MLflow's tracking server, on one PostgreSQL, in one run.

Both are asked through their published client and answer over HTTP: log values in the largest
batches each takes, read one list of them, read the last values of 100 names. Both doors are
locked: Truthline asks for a key, MLflow for a password. The last question, which is small enough
for that to count, is asked again with both open. The floor is the SDK at a server that has the
answer to it ready: what no server could do without.

Rounds go back and forth, so that what disturbs the machine disturbs both. MLflow lives in an
environment of its own, which `make bench` makes; without it ours is measured alone. Run it with

    python -m bench.steps [rounds] [values of a list]

TRUTHLINE_DATABASE_URL names a server; without, one of the edition is started.
"""

import itertools
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from craft_ai_sdk import CraftAiSdk
from sqlalchemy import URL

from app.auth.keys import Role, create_key
from app.store.database import Database
from bench import peers, servers
from bench.database import another_database, fresh_database
from bench.report import Sample, heading, note, note_versions
from bench.timing import taken

VALUES, LISTS, NAMES = 50_000, 2, 100
TRIES = {"log": 1, "list": 3, "last": 30}  # in each round
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
    """A line of the report: what is asked, who answers, and the seconds of each try."""

    question: str
    what: str
    asks: dict[str, Ask]
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def ask_all(self) -> None:
        """One round."""
        for name, ask in self.asks.items():
            times = [ask(self.what) for _ in range(TRIES[self.what])]
            self.seconds.setdefault(name, []).extend(times)

    def report(self) -> None:
        """Ours first."""
        note(self.question, *(Sample(name, times) for name, times in self.seconds.items()))


def main(rounds: int = 5, values: int = VALUES) -> None:
    """Note both, and how many times as long MLflow takes."""
    with ExitStack() as stack:
        database = stack.enter_context(fresh_database())
        table = list(rows(stack, database, values))
        for _ in range(rounds):
            for row in table:
                row.ask_all()
    heading()
    for row in table:
        row.report()


def rows(stack: ExitStack, database: Database, values: int) -> Iterator[Row]:
    """The questions, to servers that run until the stack is left."""
    locked = {"Truthline": stack.enter_context(truthline(database, values))}
    opened = {"Truthline": stack.enter_context(truthline(database, values, "--no-auth"))}
    if peers.installed("mlflow"):
        for asks, options in ((locked, WITH_ACCOUNTS), (opened, ())):
            url = stack.enter_context(another_database(database))
            asks["MLflow"] = stack.enter_context(mlflow(url, values, *options))
    floor = {"the SDK at a ready answer": stack.enter_context(ready_answer())}
    yield Row(f"log {LISTS * values:,} values, both locked", "log", locked)
    yield Row(f"read a list of {values:,}, both locked", "list", locked)
    yield Row(f"read the last of {NAMES} names, both locked", "last", locked | floor)
    yield Row("the same, both open", "last", opened)


# --- ours ---------------------------------------------------------------------------------


@contextmanager
def truthline(database: Database, values: int, *options: str) -> Iterator[Ask]:
    """Truthline as `truthline serve` starts it, asked by Craft AI's SDK."""
    with database.writing() as conn:
        key = create_key(conn, 1, Role.ADMIN)
    with servers.truthline(database, *options) as address:
        peer = Ours(address, key, values)
        asks = {"log": peer.log, "list": peer.list, "last": peer.last}
        yield lambda what: taken(asks[what])


@contextmanager
def ready_answer() -> Iterator[Ask]:
    """The SDK's own share, and HTTP's: it is answered at once."""
    with servers.serving([sys.executable, "-m", "bench.ready"], "/") as address:
        peer = Ours(address, "any")
        yield lambda _: taken(peer.last)


class Ours:
    """The same as MLflow's peer does, in the words of Craft AI's SDK."""

    def __init__(self, address: str, key: str, values: int = VALUES) -> None:
        self.values = values
        self.sdk = CraftAiSdk(sdk_token=key, environment_url=address, control_url=address)
        self.numbers = itertools.count()
        self.logged = ""
        with inside("named"):
            for number in range(NAMES):
                self.sdk.record_metric_value(f"metric-{number}", 0.5)

    def log(self) -> None:
        """Log two lists; the SDK makes batches of 10,000."""
        self.logged = f"run-{next(self.numbers)}"
        with inside(self.logged):
            for place in range(LISTS):
                values = [number / 7 for number in range(self.values)]
                self.sdk.record_list_metric_values(f"list-{place}", values)

    def list(self) -> None:
        """Read all values of one metric."""
        (row,) = self.sdk.get_list_metrics(name="list-1", execution_id=self.logged)
        assert len(row["values"]) == self.values  # noqa: S101 - or the measurement means nothing

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


# --- theirs -------------------------------------------------------------------------------


@contextmanager
def mlflow(database: URL, values: int, *options: str) -> Iterator[Ask]:
    """MLflow's server as `mlflow server` starts it, asked by its own client."""
    store = database.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
    program = peers.environment("mlflow") / "mlflow"
    command = [str(program), "server", "--backend-store-uri", store, *options]
    with (
        tempfile.TemporaryDirectory(prefix="truthline-bench-mlflow-") as directory,
        servers.serving(command, "/health", cwd=directory, **ENVIRONMENT) as url,
        peers.running("mlflow", "mlflow_peer", url, str(values), **ENVIRONMENT) as peer,
    ):
        note_versions(**peer.versions)
        yield lambda what: peer.seconds(what=what)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
