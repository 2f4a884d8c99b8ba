"""One full run of the demo, that most tests look at."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from click.testing import CliRunner, Result

from app.cli.demo import demo
from app.config import Settings
from app.demo.models import train
from app.demo.timeline import Trained
from app.store.database import Database
from tests.demo.output import Output


@dataclass(frozen=True)
class Rows:
    """What a database holds; `known` counts requests whose truth is known."""

    predictions: int
    outcomes: int
    known: int


def invoke(*arguments: str, url: str = "") -> Result:
    """Run `truthline demo` with arguments, on a database."""
    settings = Settings(database_url=url)
    return CliRunner().invoke(demo, arguments, obj=settings, catch_exceptions=False)


def run_once(url: str) -> Output:
    """Run `truthline demo --once` until it exits."""
    result = invoke("--once", "--use-database", url=url)
    assert result.exit_code == 0
    return Output(result.output)


def count_rows(url: str) -> Rows:
    """Count the rows of a database."""
    database = Database.from_settings(Settings(database_url=url))
    with database.reading() as conn:
        counts = conn.exec_driver_sql("""
            SELECT (SELECT count(*) FROM prediction), count(*), sum(weight) FROM outcome
        """).one()
    database.dispose()
    return Rows(*counts)


@dataclass(frozen=True)
class Run:
    """A database after the demo's first run, and what that printed."""

    url: str
    output: Output
    rows: Rows


@pytest.fixture(scope="session")
def models() -> list[Trained]:
    """The demo's models."""
    return train()


@pytest.fixture(scope="session")
def first_run(empty_database_url: Callable[..., str], template: str) -> Run:
    """A first run."""
    url = empty_database_url(template)
    output = run_once(url)
    return Run(url, output, count_rows(url))
