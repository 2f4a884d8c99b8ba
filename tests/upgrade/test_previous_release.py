"""The previous release's server, worker and client on the schema of this one.

While a release is rolled out, its migrations have run and the older processes still serve.
`previous_release` says which release that is: its version and its commit.
"""

import io
import json
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy import NullPool, create_engine
from truthline import Client

from app.config import Settings
from app.factory import create_app
from app.store.database import Database
from app.store.migration import upgrade
from tests.api.events_given import SEED, headers
from tests.api.live import serving
from tests.catalog import snapshot
from tests.cli.test_commands import await_ready, environment
from tests.servers import free_port
from tests.unit.test_released import listing
from tests.upgrade.session import REQUESTS, ask, is_corrected, is_wrong

ROOT = Path(__file__).parents[2]
SESSION = Path(__file__).with_name("session.py")
VERSION, COMMIT = Path(__file__).with_name("previous_release").read_text().split()
PATIENCE = 120
HOUR = {"startTime": "2026-03-01T10:00:00Z", "endTime": "2026-03-01T11:00:00Z"}
# One query of each dialect, in addition to those of the client.
QUESTIONS = {
    "/api/v1/metrics/classification": HOUR | {"model": "fraud", "interval": "10m"},
    "/api/v1/metrics/regression": HOUR | {"model": "price"},
    "/api/v1/executions": {},
    "/api/v1/metrics/single-value": {},
    "/api/v1/metrics/steps": {
        "name": "losses",
        "kind": "list",
        "startTime": "2026-01-01T00:00:00Z",
        "endTime": "2100-01-01T00:00:00Z",
    },
    "/metrics-server/api/v1/metrics/pipeline/classification": HOUR
    | {"namespace": "", "pipelineName": "", "modelName": "fraud"},
    "/v1/metrics": {},
    "/model-monitoring/v1/deployment/shop/metrics//health": {
        "startDateTime": HOUR["startTime"],
        "endDateTime": HOUR["endTime"],
    },
    "/default/inference-stats": {
        "startTime": "2026-03-01 10:00:00",
        "endTime": "2026-03-01 11:00:00",
    },
}


@dataclass(frozen=True)
class Release:
    """The files of the previous release, and a database that it created and this one migrated."""

    tree: Path
    database_url: str

    def environment(self):
        """Variables with which Python finds that release's packages first."""
        path = f"{self.tree}:{self.tree / 'client'}"
        return environment(PYTHONPATH=path, TRUTHLINE_DATABASE_URL=self.database_url)

    def python(self, *arguments):
        """What a program prints that runs with that release."""
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            capture_output=True,
            text=True,
            env=self.environment(),
            cwd=self.tree,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def truthline(self, *arguments):
        """What its command prints."""
        return self.python("-m", "app.cli", *arguments)

    @contextmanager
    def served(self):
        """The URL of its server."""
        port = free_port()
        command = [sys.executable, "-m", "app.cli", "serve", "--port", str(port), "--no-worker"]
        log = self.tree / "server.log"
        with (
            log.open("w+") as written,
            subprocess.Popen(
                command, env=self.environment(), cwd=self.tree, stderr=written
            ) as process,
        ):
            try:
                await_ready(f"http://127.0.0.1:{port}", process, written)
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()
                process.wait(PATIENCE)
        assert "Traceback" not in log.read_text(), log.read_text()


def git(*arguments):
    return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, check=False)


def archive():
    """The files of the previous release, as a tar archive."""
    if not (ROOT / ".git").exists():
        pytest.skip("no .git here: the previous release is taken from the history")
    archived = git("archive", "--format=tar", COMMIT)
    if archived.returncode and git("rev-parse", "--is-shallow-repository").stdout == b"true\n":
        pytest.skip(f"a shallow clone without {COMMIT}, the previous release")
    assert archived.returncode == 0, archived.stderr
    return archived.stdout


@pytest.fixture(scope="module")
def release(tmp_path_factory, empty_database_url):
    tree = tmp_path_factory.mktemp(f"truthline-{VERSION}-")
    with tarfile.open(fileobj=io.BytesIO(archive())) as tar:
        tar.extractall(tree, filter="data")
    release = Release(tree, empty_database_url())
    release.truthline("db", "upgrade")
    upgrade(release.database_url)
    return release


@dataclass(frozen=True)
class Answers:
    """What a server returns to both clients and to plain requests."""

    to_client: dict
    to_own_client: dict
    to_requests: dict


@pytest.fixture(scope="module")
def key(release):
    return release.truthline("keys", "create", "--role", "admin").strip()


@pytest.fixture(scope="module")
def older(release, key):
    """Answers of the previous release's server, once its client and its worker have run."""
    with release.served() as url:
        release.python(SESSION, "send", url, key)
        event = httpx.post(url, json=SEED, headers=headers() | bearer(key))
        assert event.status_code == 200, event.text
        assert "clean until" in release.truthline("refresh")
        return answers(release, url, key)


@pytest.fixture(scope="module")
def newer(release, key, older):
    """Answers of this release's server."""
    settings = Settings(database_url=release.database_url)
    database = Database.from_settings(settings)
    with serving(create_app(settings, database)) as url:
        yield answers(release, url, key)
    database.dispose()


def answers(release, url, key):
    with Client(url, key) as client:
        to_own_client = ask(client)
    return Answers(
        json.loads(release.python(SESSION, "ask", url, key)),
        to_own_client,
        {path: answer(url, key, path, question) for path, question in QUESTIONS.items()},
    )


def answer(url, key, path, question):
    """The answer to a question, except how fresh it is."""
    response = httpx.get(url + path, params=question, headers=bearer(key), timeout=PATIENCE)
    assert response.status_code == 200, response.text
    if not response.headers["Content-Type"].startswith("application/json"):
        return sorted(response.text.splitlines())
    return {name: value for name, value in response.json().items() if name != "freshness"}


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def test_the_code_that_runs_is_the_previous_release(release):
    files = release.python(
        "-c",
        "import app, migrations, truthline as t; "
        "print(app.__file__, migrations.__file__, t.__file__)",
    ).split()

    assert [Path(file).is_relative_to(release.tree) for file in files] == [True] * 3


def test_an_upgrade_makes_the_schema_of_a_new_database(release, fresh_database_url):
    upgraded, new = (
        create_engine(url, poolclass=NullPool) for url in (release.database_url, fresh_database_url)
    )
    with upgraded.connect() as old, new.connect() as conn:
        assert snapshot(old) == snapshot(conn)


def test_migrations_of_the_previous_release_are_as_it_shipped_them(release):
    shipped = [
        *release.tree.glob("sql/versions/*.sql"),
        *release.tree.glob("migrations/versions/*.py"),
    ]
    paths = [path.relative_to(release.tree) for path in shipped]

    assert {str(path) for path in paths} <= listing(ROOT).keys()
    assert [
        path for path in paths if (ROOT / path).read_bytes() != (release.tree / path).read_bytes()
    ] == []


@pytest.mark.parametrize("path", QUESTIONS)
def test_both_servers_give_the_same_answer(older, newer, path):
    assert older.to_requests[path] == newer.to_requests[path]
    assert older.to_requests[path]


def test_both_clients_read_the_same_from_both_servers(older, newer):
    """What this release adds to results, the previous one's lack."""
    read = older.to_client
    assert read == newer.to_client
    assert read == restricted(older.to_own_client, read) == restricted(newer.to_own_client, read)


def restricted(answer, other):
    """An answer without the members that the other one lacks."""
    if isinstance(answer, dict):
        return {
            name: restricted(part, other[name]) for name, part in answer.items() if name in other
        }
    if isinstance(answer, list):
        return [restricted(*pair) for pair in zip(answer, other, strict=True)]
    return answer


def test_the_numbers_are_those_of_what_was_sent(older):
    right = sum(not is_wrong(n) or is_corrected(n) for n in range(REQUESTS))
    buckets = older.to_client["classification"]["buckets"]
    errors = [bucket["mean_absolute_error"] for bucket in older.to_client["regression"]["buckets"]]

    assert sum(bucket["accuracy"] * bucket["n"] for bucket in buckets) == pytest.approx(right)
    assert errors == [2.0, 2.0]
    assert older.to_client["health"]["total_predictions"] == REQUESTS  # of its first model
    assert [metric["value"] for metric in older.to_client["metrics"]] == [0.5]
