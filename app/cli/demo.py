"""`truthline demo`: real models on real data, replayed as if they had served for six hours."""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import click
from rich.console import Console
from rich.progress import Progress

from app.auth.workspaces import default_workspace
from app.cli.connection import connected, data_option, locate_database
from app.cli.serve import address, check_port_is_free, is_loopback, serve
from app.demo.replay import Past, Stored, new_start, past, remaining, replay
from app.demo.report import report
from app.demo.timeline import (
    DIGITS,
    FAILED,
    LENGTH,
    MISTAKEN,
    NEVER_KNOWN,
    Event,
    Trained,
    timeline,
)
from app.errors import TruthlineError
from app.query.window import Window
from app.store.database import Database

HOST, PORT = "127.0.0.1", 8000
METRICS_PATH = "/metrics-server/api/v1/metrics/pipeline/classification"


class NoScikitLearn(TruthlineError):
    """The package that trains the demo's models isn't installed."""


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
    """Replay real models, print their metrics, and serve them.

    A classifier of handwritten digits and a regressor of diabetes, two versions each, are
    trained and replayed as if they had served for the last six hours. Running it again stores
    nothing twice.
    """
    if context.obj.database_url and data is None and not use_database:
        raise click.UsageError(
            "TRUTHLINE_DATABASE_URL is set, and the demo would store its rows there: add"
            " --use-database if you want that, or --data DIR for a database of its own"
        )
    if not once:
        check_port_is_free(host, port)
    console = Console(highlight=False)
    models = _train(console)
    with locate_database(context.obj, data, migrate=True, create=True) as settings:
        with connected(settings, None) as database:
            window = _demonstrate(console, database, models)
        embedded = data is not None or not context.obj.database_url
        if once:
            command = _serve_command(host, port, settings.data if embedded else None)
            _print_lines(console, "To serve this:", command)
        _print_hints(console, f"http://{address(host, port)}", window)
        if not once:
            context.invoke(serve, host=host, port=port, no_auth=True, data=data)


def _train(console: Console) -> list[Trained]:
    """Train the models.

    Raises:
        NoScikitLearn: the extra `demo` isn't installed.
    """
    console.print("Training a classifier of digits and a regressor of diabetes, in two versions")
    try:
        from app.demo.models import train  # noqa: PLC0415 - an extra, and a second to import
    except ModuleNotFoundError as error:
        raise NoScikitLearn(
            "The demo trains its models with scikit-learn, which isn't installed here: run it from"
            " a checkout with 'make demo'"
        ) from error
    return train()


def _demonstrate(console: Console, database: Database, models: Sequence[Trained]) -> Window:
    """Replay what isn't stored yet and print the metrics. Returns the window of six hours."""
    workspace_id = default_workspace(database)
    with database.reading() as conn:
        earlier_run = past(conn, workspace_id)
    _record_training(database, workspace_id)
    start = earlier_run.start if earlier_run else new_start(datetime.now(UTC))
    events = remaining(timeline(models, start), earlier_run)
    _print_stored(console, earlier_run, _replay(console, database, workspace_id, events))
    window = Window(start, start + LENGTH)
    _print_explanation(console, window)
    with database.reading() as conn:
        tables = report(conn, database.registry, workspace_id=workspace_id, window=window)
        console.print(*tables, sep="\n")
    return window


def _record_training(database: Database, workspace_id: int) -> None:
    from app.demo.training import record  # noqa: PLC0415 - scikit-learn is an extra

    record(database, workspace_id)


def _replay(
    console: Console, database: Database, workspace_id: int, events: Sequence[Event]
) -> list[Stored]:
    """Replay with a progress bar that disappears; without one if the output is no terminal."""
    stored = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Replaying six hours", total=len(events))
        for batch in replay(database, workspace_id, events):
            progress.advance(bar, batch.events)
            stored.append(batch)
    return stored


def _print_stored(console: Console, earlier_run: Past | None, stored: Sequence[Stored]) -> None:
    predictions = sum(batch.predictions for batch in stored)
    truths = sum(batch.truths for batch in stored)
    if earlier_run:
        count = f"{len(earlier_run.truths):,} predictions were stored by"
        console.print(f"Replayed before: {count} {earlier_run.received:%F %T} UTC")
    if predictions or truths:
        console.print(f"Stored {predictions:,} predictions and {truths:,} truths")
    else:
        console.print("Nothing new to store")


def _print_explanation(console: Console, window: Window) -> None:
    console.print(
        f"\nThe six hours are those from {window.start:%F %H:%M} to {window.end:%F %H:%M} UTC. "
        "In the second half, the inputs of v2 get noisier and noisier. "
        f"{FAILED:.0%} of the requests fail. Truths come minutes to hours later, "
        f"{MISTAKEN:.0%} of them initially wrong and later corrected; {NEVER_KNOWN:.0%} never come."
    )


def _print_hints(console: Console, base: str, window: Window) -> None:
    _print_lines(console, "Open:", f"{base}/", f"{base}/docs")
    _print_lines(console, "Try:", f"curl '{base}{METRICS_PATH}?{_query_string(window)}'")


def _print_lines(console: Console, heading: str, *lines: str) -> None:
    """Print lines under a heading, unwrapped, so that they can be copied."""
    console.print(f"\n[bold]{heading}[/]")
    for line in lines:
        console.out(f"  {line}", highlight=False)


def _query_string(window: Window) -> str:
    """The query string of the digits' metrics per half hour, for Seldon's API."""
    parameters = {
        "namespace": DIGITS.namespace,
        "pipelineName": DIGITS.pipeline,
        "modelName": DIGITS.name,
        "startTime": f"{window.start:%FT%TZ}",
        "endTime": f"{window.end:%FT%TZ}",
        "interval": "30m",
    }
    return urlencode(parameters, safe=":")


def _serve_command(host: str, port: int, embedded: Path | None) -> str:
    """The command to serve this later; `embedded` is the embedded server's directory, if used."""
    command = ["truthline", "serve", "--no-auth"]
    if (host, port) != (HOST, PORT):
        command += ["--host", host, "--port", str(port)]
    if embedded is not None:
        command += ["--data", str(embedded)]
    return shlex.join(command)
