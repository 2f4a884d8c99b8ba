"""The database that the commands work on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from app.config import Settings
from app.embedded.server import Cluster, embedded_binaries, running
from app.errors import TruthlineError
from app.store.database import Database
from app.store.migration import upgrade
from app.store.urls import sqlalchemy_url

Command = TypeVar("Command", bound=Callable[..., Any])


def data_option(command: Command) -> Command:
    """Add `--data`."""
    return click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        help="Directory of the embedded PostgreSQL  [default: truthline-data]",
    )(command)


class NoDatabase(TruthlineError):
    """There is no embedded database, and the command would only read it."""


@contextmanager
def locate_database(
    settings: Settings, data: Path | None, *, migrate: bool = False, create: bool = False
) -> Iterator[Settings]:
    """Settings with the URL of a database: the configured one, or the running embedded server.

    `--data` always means the embedded server, even if TRUTHLINE_DATABASE_URL is set. The embedded
    database is always migrated; a configured one only with `migrate`. An embedded one is created
    only with `create`: a query in a wrong directory must not see an empty one.

    Raises:
        NoDatabase: there is no embedded one.
    """
    cluster = embedded(settings, data)
    if cluster is None:
        _check_urls(settings)
        if migrate:
            upgrade(settings.direct.database_url)
        yield settings
        return
    if not (create or cluster.exists):
        raise NoDatabase(
            f"there is no database in {cluster.directory}: give its directory with --data or its"
            " URL as TRUTHLINE_DATABASE_URL; 'truthline serve' creates one"
        )
    with running(cluster) as url:
        upgrade(url)
        yield replace(
            settings,
            database_url=url,
            direct_database_url="",
            read_database_url="",
            data=cluster.directory,
        )


def _check_urls(settings: Settings) -> None:
    """Reject a wrong URL before anything is started.

    Raises:
        ValueError: the message names the variable.
    """
    for name in ("database_url", "direct_database_url", "read_database_url"):
        if url := getattr(settings, name):
            try:
                sqlalchemy_url(url)
            except ValueError as error:
                raise ValueError(f"TRUTHLINE_{name.upper()}: {error}") from None


def embedded(settings: Settings, data: Path | None) -> Cluster | None:
    """The embedded server, if it is to be used."""
    if settings.database_url and data is None:
        return None
    directory = (data or settings.data).absolute()
    return Cluster(directory=directory, binaries=embedded_binaries())


@contextmanager
def connected(
    settings: Settings, data: Path | None, *, migrate: bool = False, create: bool = False
) -> Iterator[Database]:
    """A database to work on, without a pooler; arguments as in `locate_database`."""
    with locate_database(settings, data, migrate=migrate, create=create) as located_settings:
        database = Database.from_settings(located_settings.direct)
        try:
            yield database
        finally:
            database.dispose()
