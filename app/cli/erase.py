"""`truthline erase`: delete rows permanently, and record it."""

import getpass
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click

from app.auth.workspaces import DEFAULT_WORKSPACE
from app.cli.connection import connected, data_option
from app.config import Settings
from app.upkeep.erasure import Erased, Target, preview
from app.upkeep.erasure import erase as erase_target

Command = TypeVar("Command", bound=Callable[..., Any])


def _options(command: Command) -> Command:
    """What all scopes take."""
    for option in (
        data_option,
        click.option("--reason", default="", help="Recorded with it, such as a ticket's number"),
        click.option("--by", help="Who erases, as recorded  [default: the user of this process]"),
        click.option("--yes", is_flag=True, help="Don't ask"),
        click.option("--dry-run", is_flag=True, help="Say what would be erased, and erase nothing"),
    ):
        command = option(command)
    return command


_workspace = click.option("--workspace", default=DEFAULT_WORKSPACE, show_default=True)


@click.group()
def erase() -> None:
    """Erase requests, a value of a tag, a model or a workspace, permanently.

    Metrics don't count them any more, at any moment. What was erased, when and by whom is
    recorded in the view truthline.erasures, without its content.
    """


@erase.command()
@click.argument("ids", nargs=-1)
@click.option("--ids-from", type=click.File(encoding="utf-8"), help="File of ids, one a line")
@_workspace
@_options
@click.pass_obj
def requests(
    settings: Settings, /, ids: tuple[str, ...], ids_from: TextIO | None, workspace: str, **how: Any
) -> None:
    """Erase requests by their ids: predictions, truths, metadata and what waits for them."""
    wanted = list(dict.fromkeys((*ids, *_lines(ids_from or ()))))
    if not wanted:
        raise click.UsageError("give ids of requests, or a file of them with --ids-from")
    _run(settings, Target(workspace=workspace, request_ids=wanted), **how)


@erase.command()
@click.argument("tag", metavar="KEY=VALUE")
@_workspace
@_options
@click.pass_obj
def tag(settings: Settings, /, tag: str, workspace: str, **how: Any) -> None:
    """Erase all predictions with this tag, their truths, and the value itself."""
    key, separator, value = tag.partition("=")
    if not key or not separator:
        raise click.UsageError("a tag is given as KEY=VALUE, such as user=123")
    _run(settings, Target(workspace=workspace, tag=(key, value)), **how)


@erase.command()
@click.argument("name")
@click.option("--namespace", default="")
@click.option("--pipeline", default="")
@_workspace
@_options
@click.pass_obj
def model(
    settings: Settings, /, name: str, namespace: str, pipeline: str, workspace: str, **how: Any
) -> None:
    """Erase all that a model has: rows, cells, tags, its subscription and monitors.

    Its name and those of its versions stay.
    """
    _run(settings, Target(workspace=workspace, model=(namespace, pipeline, name)), **how)


@erase.command()
@click.argument("name")
@_options
@click.pass_obj
def workspace(settings: Settings, /, name: str, **how: Any) -> None:
    """Erase all that a workspace has, its names too, and revoke its keys."""
    _run(settings, Target(workspace=name), **how)


def _lines(file: Iterable[str]) -> Iterable[str]:
    return (line for raw in file if (line := raw.rstrip("\r\n")))


def _run(
    settings: Settings,
    target: Target,
    *,
    dry_run: bool,
    yes: bool,
    by: str | None,
    reason: str,
    data: Path | None,
) -> None:
    with connected(settings, data) as database:
        if dry_run or not yes:
            click.echo(f"would erase {_description(preview(database, target))}")
        if dry_run:
            return
        if not yes:
            click.confirm("This can't be undone. Erase?", abort=True)
        erased = erase_target(database, target, by=by or getpass.getuser(), reason=reason)
    click.echo(f"erased {_description(erased)}")
    for fault in erased.faults:
        click.echo(f"{fault.level} is miscounted from {fault.learned_from:%F %T} on", err=True)
    if erased.faults:
        raise SystemExit(1)


def _description(erased: Erased) -> str:
    return (
        f"{erased.predictions:,} rows of predictions, {erased.outcomes:,} of truths"
        f" and {erased.others:,} of other tables"
    )
