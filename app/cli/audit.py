"""`truthline audit`: count again what levels were made from, and heal what is wrong."""

from datetime import datetime
from pathlib import Path

import click

from app.cli.connection import connected, data_option
from app.cli.times import MOMENT
from app.config import Settings
from app.rollup.refresh import Audited, audit_levels


@click.command()
@click.option("--level", help="Name of one level, as in `truthline status`  [default: all]")
@click.option("--from", "since", type=MOMENT, help="Spans learned from then on  [default: all]")
@click.option("--until", type=MOMENT, help="Spans learned before then  [default: all]")
@data_option
@click.pass_obj
def audit(
    settings: Settings,
    level: str | None,
    since: datetime | None,
    until: datetime | None,
    data: Path | None,
) -> None:
    """Count the rows behind every cell of the levels again; make wrong cells again.

    Exit code 1 if something can't be healed; answers then read rows in its place.
    """
    with connected(settings, data) as database:
        found = list(audit_levels(database, level, since, until))
    if level is not None and not found:
        raise click.BadParameter(f"there is no level {level!r}", param_hint="--level")
    for audited in found:
        click.echo(f"{audited.level:18} {_in_words(audited)}")
    if any(audited.unhealed for audited in found):
        raise SystemExit(1)


def _in_words(audited: Audited) -> str:
    if not audited.faults:
        return "right"
    spans = ", ".join(
        f"{fault.learned_from:%F %T} ({fault.n_counted:,} of {fault.n_rows:,} rows)"
        for fault in audited.faults
    )
    left = len(audited.unhealed)
    return f"{len(audited.faults)} spans wrong, {left} of them still: {spans}"
