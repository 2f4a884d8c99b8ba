"""Run the suite: `python -m bench [--full] [--edition NAME] [CASE ...]`; see docs/benchmarks.md."""

import click

from bench import document
from bench.suite import CASES, Effort, run
from tests.servers import EDITIONS, timescaledb_binaries

QUICK_SECONDS, FULL_SECONDS = 540.0, 6 * 3600.0


@click.command()
@click.option("--full", is_flag=True, help="The large sizes: hours instead of ten minutes")
@click.option("--tiny", is_flag=True, help="The smallest sizes, to see that a case runs")
@click.option(
    "--edition",
    "editions",
    multiple=True,
    type=click.Choice(tuple(EDITIONS)),
    help="An edition of the database  [default: community if there is TimescaleDB, and postgres]",
)
@click.argument("cases", nargs=-1, type=click.Choice([case.name for case in CASES]))
def main(*, full: bool, tiny: bool, editions: tuple[str, ...], cases: tuple[str, ...]) -> None:
    """Measure cases, write bench/results/*.json, and docs/benchmarks.md of all of them.

    What is tiny is only printed. Exits with 1 if a case failed, after the others.
    """
    effort = Effort.FULL if full else Effort.TINY if tiny else Effort.QUICK
    budget = FULL_SECONDS if full else QUICK_SECONDS
    failed = run(effort, editions or installed(), cases, budget)
    if effort is not Effort.TINY:
        document.write()
    if failed:
        raise click.ClickException(f"failed: {', '.join(failed)}")


def installed() -> list[str]:
    """The editions that this machine can run."""
    return [*(["community"] if timescaledb_binaries() else []), "postgres"]


if __name__ == "__main__":
    main()
