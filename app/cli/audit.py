"""`truthline audit`: recount the rows of levels, and repair faults."""

from datetime import datetime
from pathlib import Path

import click

from app.cli.connection import connected, data_option
from app.cli.times import MOMENT
from app.config import Settings
from app.rollup.refresh import Audited, audit_levels


@click.command()
@click.option("--level", help="Name of one level, as in `truthline status`  [default: all]")
@click.option("--from", "since", type=MOMENT, help="Start of the learned spans  [default: all]")
@click.option("--until", type=MOMENT, help="End of the learned spans  [default: all]")
@data_option
@click.pass_obj
def audit(
    settings: Settings,
    level: str | None,
    since: datetime | None,
    until: datetime | None,
    data: Path | None,
) -> None:
    """Recount the rows behind every cell, and recompute wrong cells.

    Exit code 1 if a fault can't be repaired; rows are then read instead of its cells.
    """
    with connected(settings, data) as database:
        audits = list(audit_levels(database, level, since, until))
    if level is not None and not audits:
        raise click.BadParameter(f"there is no level {level!r}", param_hint="--level")
    for audited in audits:
        click.echo(f"{audited.level:18} {_description(audited)}")
    if any(audited.unrepaired for audited in audits):
        raise SystemExit(1)


def _description(audited: Audited) -> str:
    if not audited.faults:
        return "correct"
    spans = ", ".join(
        f"{fault.learned_from:%F %T} ({fault.n_counted:,} of {fault.n_rows:,} rows)"
        for fault in audited.faults
    )
    remaining = len(audited.unrepaired)
    return f"{len(audited.faults)} faulty spans, {remaining} not repaired: {spans}"
