"""The database that the commands work on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from app.config import Settings
from app.embedded.server import Cluster, embedded_binaries, running
from app.store.database import Database
from app.store.migration import upgrade

Command = TypeVar("Command", bound=Callable[..., Any])


def data_option(command: Command) -> Command:
    """Add `--data`."""
    return click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        help="Directory of the embedded PostgreSQL  [default: truthline-data]",
    )(command)


@contextmanager
def locate_database(
    settings: Settings, data: Path | None, *, migrate: bool = False
) -> Iterator[Settings]:
    """Settings with the URL of a database: the configured one, or the running embedded server.

    `--data` always means the embedded server, even if TRUTHLINE_DATABASE_URL is set. The embedded
    database is always migrated; a configured one only with `migrate`.
    """
    cluster = embedded(settings, data)
    if cluster is None:
        if migrate:
            upgrade(settings.database_url)
        yield settings
        return
    with running(cluster) as url:
        upgrade(url)
        yield replace(settings, database_url=url, data=cluster.directory)


def embedded(settings: Settings, data: Path | None) -> Cluster | None:
    """The embedded server, if it is to be used."""
    if settings.database_url and data is None:
        return None
    directory = (data or settings.data).absolute()
    return Cluster(directory=directory, binaries=embedded_binaries())


@contextmanager
def connected(
    settings: Settings, data: Path | None, *, migrate: bool = False
) -> Iterator[Database]:
    """A database to work on; `migrate` as in `locate_database`."""
    with locate_database(settings, data, migrate=migrate) as located_settings:
        database = Database.from_settings(located_settings)
        try:
            yield database
        finally:
            database.dispose()
