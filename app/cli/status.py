"""`truthline status`: the database and its contents."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from app.cli.connection import connected, data_option
from app.config import Settings, unknown_variables
from app.phrases import EXTENSION_MISSING, duration, faults_in_words
from app.query.space import Space
from app.query.status import LevelStatus, Status, service_status
from app.store.database import Database

MEGABYTE = 1_000_000


@click.command()
@data_option
@click.pass_obj
def status(settings: Settings, data: Path | None) -> None:
    """Show the database, its contents, and the state of each level."""
    with connected(settings, data) as database, database.reading() as conn:
        status = service_status(conn)
        replica = _replica(database)
    Console().print(_table(status, replica), _space(status), _levels(status))


def _replica(database: Database) -> str | None:
    """In words how far the read replica is behind; None if there is none."""
    if database.replica is None:
        return None
    lag = database.replica.lag()
    return "not reachable, or its lag is unknown" if lag is None else f"{duration(lag)} behind"


def _table(status: Status, replica: str | None) -> Table:
    table = Table(show_header=False, title="Truthline", title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    for name, value in _rows(status):
        table.add_row(name, value)
    if replica:
        table.add_row("read replica", replica)
    return table


def _rows(status: Status) -> Iterator[tuple[str, str]]:
    timescaledb = status.server.timescaledb
    extension = f", TimescaleDB {timescaledb}" if timescaledb else ""
    yield "edition", status.server.edition
    yield "server", f"PostgreSQL {status.server.postgres}{extension}"
    if status.server.extension_missing:
        yield "note", EXTENSION_MISSING
    for problem in unknown_variables():
        yield "setting", problem
    yield "workspaces", f"{status.workspaces:,}"
    yield "models", f"{status.models:,} in {status.series:,} series"
    yield "predictions", f"{status.predictions:,}{_since(status.last_prediction)}"
    yield "outcomes", f"{status.outcomes:,}{_since(status.last_outcome)}"
    yield "pending feedback", f"{status.pending_feedback:,}"
    for relation, since in status.retention:
        yield f"retention of {relation}", f"since {since:%F %T} UTC"


def _since(time: datetime | None) -> str:
    return f", the last received {time:%F %T} UTC" if time else ""


def _space(status: Status) -> Table:
    table = Table(title="Room on disk (MB)", title_justify="left")
    table.add_column("of", style="bold")
    for name in ("rows", "indexes", "total", "per million predictions"):
        table.add_column(name, justify="right")
    for space in status.space:
        table.add_row(*space_row(space, status.predictions))
    return table


def space_row(space: Space, predictions: int) -> tuple[str, ...]:
    """Kind, megabytes of rows, of indexes, of both, and per million stored predictions."""
    each = f"{space.total / predictions:,.1f}" if predictions else ""
    megabytes = (f"{number / MEGABYTE:,.1f}" for number in (space.rows, space.indexes, space.total))
    return space.kind, *megabytes, each


def _levels(status: Status) -> Table:
    table = Table(title="Levels (times in UTC)", title_justify="left")
    table.add_column("level", style="bold")
    table.add_column("cells", justify="right")
    table.add_column("clean until")
    table.add_column("lag", justify="right")
    table.add_column("audited until")
    table.add_column("faults")
    for level in status.levels:
        table.add_row(*level_row(level))
    return table


def level_row(level: LevelStatus) -> tuple[str, ...]:
    """Name, cells, clean until, lag, audited until and faults of a level, as cells of a table."""
    lag = duration(level.lag) if level.clean_until and level.lag is not None else ""
    faults = faults_in_words(level.open_faults, level.repaired_faults)
    times = (_until(level.clean_until), lag, _until(level.audited_until))
    return level.name, f"{level.cells:,}", *times, faults


def _until(time: datetime | None) -> str:
    return f"{time:%F %T}" if time else "never"
