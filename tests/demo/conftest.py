"""A demo of models that need no training, with a tenth of its traffic, told once for most tests."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner, Result

from app.cli import demo as command
from app.config import Settings
from app.demo import story
from app.demo.lesson import DIABETES, DIGITS, NOISE, STRIPS, Answer, Lesson, Run, Trained
from app.demo.story import Story, hour_of
from app.demo.timeline import Event, events_by_hour
from app.store.database import Database
from app.store.registry import Kind
from tests.demo.output import Output

CLASSES = list("0123456789")
SAMPLES = range(60)


def answers(of_sample: Callable[[int], Answer]) -> list[list[Answer]]:
    """The same answers whatever the noise."""
    return [[of_sample(sample) for sample in SAMPLES] for _ in NOISE]


def digit(sample: int) -> Answer:
    """Wrong for a sample in twelve."""
    return [(CLASSES[(sample + (sample % 12 == 0)) % 10], 0.5 + sample / 200)]


def digit_but_no_eight(sample: int) -> Answer:
    return [("3", 0.6)] if sample % 10 == 8 else digit(sample)


LESSON = Lesson(
    [
        Trained(
            DIGITS,
            Kind.CLASSIFICATION,
            [CLASSES[sample % 10] for sample in SAMPLES],
            {"v1": answers(digit), "v2": answers(digit_but_no_eight)},
        ),
        Trained(
            DIABETES,
            Kind.REGRESSION,
            [100.0 + sample for sample in SAMPLES],
            {
                "v1": answers(lambda sample: [("", 100 + 1.1 * sample)]),
                "v2": answers(lambda sample: [("", 90 + 1.2 * sample)]),
            },
        ),
        Trained(
            STRIPS,
            Kind.DETECTION,
            [None for _ in SAMPLES],
            {"v1": answers(lambda sample: [(CLASSES[n], 0.7) for n in range(sample % 5)])},
        ),
    ],
    [Run("demo-training-1", {"loss": 0.4}, {"accuracy": [0.5, 0.9]})],
)


@pytest.fixture(scope="package", autouse=True)
def _quiet() -> Iterator[None]:
    """A tenth of the traffic, and no training."""
    with pytest.MonkeyPatch.context() as patch:
        for model, traffic in story.TRAFFIC.items():
            less = replace(traffic, per_hour=traffic.per_hour / 10)
            patch.setitem(story.TRAFFIC, model, less)
        patch.setattr(command, "learn", lambda: LESSON)
        yield


@dataclass(frozen=True)
class Rows:
    """What a database holds; `known` counts requests whose truth is known."""

    predictions: int
    outcomes: int
    known: int


def invoke(*arguments: str, url: str = "", public_url: str = "") -> Result:
    """Run `truthline demo` with arguments, on a database."""
    settings = Settings(database_url=url, public_url=public_url)
    return CliRunner().invoke(command.demo, arguments, obj=settings, catch_exceptions=False)


def run_once(url: str, public_url: str = "") -> Output:
    """Run `truthline demo --once` until it exits."""
    result = invoke("--once", "--use-database", url=url, public_url=public_url)
    assert result.exit_code == 0
    return Output(result.output)


def count_rows(database: Database) -> Rows:
    """Count the rows of a database."""
    with database.reading() as conn:
        counts = conn.exec_driver_sql("""
            SELECT (SELECT count(*) FROM prediction WHERE starts_request), count(*), sum(weight)
            FROM outcome
        """).one()
    return Rows(*counts)


def events_until(now: datetime, started: datetime) -> list[Event]:
    """Everything that has arrived by a moment, straight from the timeline."""
    told = Story(hour_of(started))
    hours = events_by_hour(LESSON.models, told, told.beginning, now)
    return [event for events in hours for event in events]


def accuracy(truths: Sequence[object], predictions: Sequence[object]) -> float:
    """The share of predictions that are true."""
    pairs = zip(truths, predictions, strict=True)
    return sum(truth == prediction for truth, prediction in pairs) / len(truths)


@dataclass(frozen=True)
class Told:
    """A database after the demo's first run, what that printed, and when it was."""

    database: Database
    url: str
    output: Output
    rows: Rows
    now: datetime


@pytest.fixture(scope="package")
def first_run(empty_database_url: Callable[..., str], template: str) -> Iterator[Told]:
    """A first run."""
    url = empty_database_url(template)
    now = datetime.now(UTC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "_now", lambda: now)
        output = run_once(url)
    database = Database.from_settings(Settings(database_url=url))
    yield Told(database, url, output, count_rows(database), now)
    database.dispose()
