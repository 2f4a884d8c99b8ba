"""`truthline demo`: real models on real data, a week of their history, and what follows live."""

import logging
import os
import shlex
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import click
from rich.console import Console
from rich.progress import Progress

from app.auth.workspaces import default_workspace
from app.cli.connection import connected, data_option, locate_database
from app.cli.serve import address, check_port_is_free, is_loopback, serve
from app.demo.history import HOURS_PER_BATCH, Past, Stored, past, remaining, store
from app.demo.lesson import DIGITS, Lesson, Trained, learn, require_scikit_learn
from app.demo.live import Plan, replaying
from app.demo.report import Reporter
from app.demo.runs import record
from app.demo.story import (
    HOUR,
    LENGTH,
    MISTAKEN,
    NEVER_KNOWN,
    RELEASE,
    Story,
    hour_of,
)
from app.demo.timeline import events_by_hour
from app.query.inferences import preceding
from app.query.window import Window
from app.rollup.refresh import refresh
from app.store.database import Database

HOST, PORT = "127.0.0.1", 8000
METRICS_PATH = "/metrics-server/api/v1/metrics/pipeline/classification"
SHOWN = timedelta(hours=20)  # of a release, and before it
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def _on_loopback(_context: click.Context, _option: click.Parameter, host: str) -> str:
    if not is_loopback(host):
        raise click.BadParameter("must be a loopback address, because the demo requires no key")
    return host


@click.command()
@click.option("--once", is_flag=True, help="Print the metrics and exit instead of serving")
@click.option(
    "--host", default=HOST, show_default=True, callback=_on_loopback, help="Address to listen on"
)
@click.option("--port", default=PORT, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--use-database", is_flag=True, help="Replay into the database of TRUTHLINE_DATABASE_URL"
)
@data_option
@click.pass_context
def demo(
    context: click.Context,
    once: bool,
    host: str,
    port: int,
    use_database: bool,
    data: Path | None,
) -> None:
    """Tell the history of six models, serve it, and go on live.

    Models of digits, diabetes, tumours and wine are trained. The last eight days of their
    predictions and truths are stored as if they had been received then, and new ones follow while
    it serves. Running it again stores what was missed in between, and nothing twice.
    """
    if context.obj.database_url and data is None and not use_database:
        raise click.UsageError(
            "TRUTHLINE_DATABASE_URL is set, and the demo would store its rows there: add"
            " --use-database if you want that, or --data DIR for a database of its own"
        )
    if not once:
        check_port_is_free(host, port)
    console = Console(highlight=False)
    console.print("Training six models of digits, diabetes, tumours and wine")
    require_scikit_learn()
    meanwhile = ThreadPoolExecutor(1)
    training = meanwhile.submit(learn)  # on another core, while the database starts
    with locate_database(context.obj, data, migrate=True, create=True) as settings:
        lesson = training.result()
        meanwhile.shutdown()
        now = _now()
        with connected(settings, None) as database:
            told = demonstrate(console, database, lesson, now)
        embedded = data is not None or not context.obj.database_url
        if once:
            command = _serve_command(host, port, settings.data if embedded else None)
            _print_lines(console, "To serve this:", command)
        base = settings.public_url.rstrip("/") or f"http://{address(host, port)}"
        _print_hints(console, base, told.release)
        if not once:
            plan = Plan(host.strip("[]"), port, told.story.started, now, lesson.models, os.getpid())
            with replaying(plan):
                context.invoke(serve, host=host, port=port, no_auth=True, data=data)


def _now() -> datetime:
    """The end of what is stored as history."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Told:
    """What is stored: a story, and the window of the release that the demo points to."""

    story: Story
    release: Window


def demonstrate(console: Console, database: Database, lesson: Lesson, now: datetime) -> Told:
    """Store what isn't stored yet up to now, fill the levels, and print the metrics."""
    workspace_id = default_workspace(database)
    with database.reading() as conn:
        earlier = past(conn, workspace_id)
    record(database, workspace_id, lesson.runs)
    story = Story(hour_of(earlier.start) + LENGTH if earlier else hour_of(now))
    stored = _store(console, database, workspace_id, lesson.models, story, earlier, now)
    _print_stored(console, earlier, stored)
    console.print("Filling and auditing the levels")
    _refresh(database)
    told = Told(story, _release(story, now))
    _print_explanation(console, told.release)
    with database.reading() as conn:
        reporter = Reporter(conn, database.registry, workspace_id)
        console.print(*reporter.tables(lesson.models, told.release), sep="\n")
    return told


def _refresh(database: Database) -> None:
    """Fill the levels without a line in the log for each."""
    logging.disable(logging.INFO)
    refresh(database)
    logging.disable(logging.NOTSET)


def _release(story: Story, now: datetime) -> Window:
    """The window of the newest bad release, on full hours."""
    start = story.release(now)
    return Window(start, min(start + SHOWN, hour_of(now)))


def _store(
    console: Console,
    database: Database,
    workspace_id: int,
    models: Sequence[Trained],
    story: Story,
    earlier: Past | None,
    now: datetime,
) -> list[Stored]:
    """Store with a progress bar that disappears; without one if the output is no terminal."""
    first = max(story.beginning, hour_of(now - LENGTH), earlier.resumed if earlier else _LONG_AGO)
    hours = remaining(events_by_hour(models, story, first, now), earlier)
    total = (now - first) / HOUR / HOURS_PER_BATCH
    stored = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Storing the days since", total=total)
        for day in store(database, workspace_id, hours):
            progress.advance(bar)
            stored.append(day)
    return stored


def _print_stored(console: Console, earlier: Past | None, stored: Iterable[Stored]) -> None:
    days = list(stored)
    predictions = sum(day.predictions for day in days)
    truths = sum(day.truths for day in days)
    if earlier:
        console.print(
            f"Stored before: predictions from {earlier.start:%F %H:%M}"
            f" to {earlier.received:%F %H:%M} UTC"
        )
    console.print(f"Stored now: predictions {predictions:,}, truths {truths:,}")


def _print_explanation(console: Console, release: Window) -> None:
    console.print(
        f"\nAt {release.start:%F %H:%M} UTC, {RELEASE.version} of the digits' classifier was"
        " released. It was trained on too few images of one digit: find out which. The other"
        " models have had their bad hours in the last days, too."
        f" Truths come minutes to hours later, {MISTAKEN:.0%} of them initially wrong and later"
        f" corrected; {NEVER_KNOWN:.0%} never come."
    )


def _print_hints(console: Console, base: str, release: Window) -> None:
    since = {"startTime": f"{release.start:%FT%TZ}", "endTime": f"{release.end:%FT%TZ}"}
    around = since | {"startTime": f"{preceding(release).start:%FT%TZ}"}
    _print_lines(console, "The last 24 hours, live:", f"{base}/")
    _print_lines(console, "Which model got worse:", f"{base}/?{_query(since)}")
    named = {"namespace": DIGITS.namespace, "pipeline": DIGITS.pipeline, "model": DIGITS.name}
    when = f"{base}/model?{_query(named | around | {'interval': '1h'})}"
    _print_lines(console, "When, and for which digit:", when)
    asked = {"namespace": DIGITS.namespace, "pipelineName": DIGITS.pipeline}
    asked |= {"modelName": DIGITS.name} | around | {"interval": "4h"}
    curl = f"curl '{base}{METRICS_PATH}?{_query(asked)}'"
    _print_lines(console, "The same through the API:", curl)
    _print_lines(console, "Its documentation:", f"{base}/docs")


def _query(parameters: dict[str, str]) -> str:
    return urlencode(parameters, safe=":")


def _print_lines(console: Console, heading: str, *lines: str) -> None:
    """Print lines under a heading, unwrapped, so that they can be copied."""
    console.print(f"\n[bold]{heading}[/]")
    for line in lines:
        console.out(f"  {line}", highlight=False)


def _serve_command(host: str, port: int, embedded: Path | None) -> str:
    """The command to serve this later; `embedded` is the embedded server's directory, if used."""
    command = ["truthline", "serve", "--no-auth"]
    if (host, port) != (HOST, PORT):
        command += ["--host", host, "--port", str(port)]
    if embedded is not None:
        command += ["--data", str(embedded)]
    return shlex.join(command)
