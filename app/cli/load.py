"""`truthline load`: predictions and truths of files, straight into the database."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from app.auth.workspaces import DEFAULT_WORKSPACE, find_or_create_workspace
from app.cli.connection import connected, data_option
from app.config import Settings
from app.errors import InvalidInput, RowError, TruthlineError
from app.ingest.bulk.checked import PREDICTIONS, TRUTHS
from app.ingest.bulk.files import fingerprint, read_file
from app.ingest.bulk.ingest import BulkIngest, BulkVerdict
from app.ingest.bulk.mapping import FileMapping, mapped
from app.rollup.refresh import refresh
from app.store.database import Database

SHOWN_ERRORS = 10
NAMES = ("model", "namespace", "pipeline", "deployment", "version")


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option("--model", help="Model of all rows, if the files have no column model")
@click.option("--version", help="As --model, and so are the following")
@click.option("--deployment")
@click.option("--namespace")
@click.option("--pipeline")
@click.option(
    "--map",
    "pairs",
    multiple=True,
    metavar="COLUMN=MEMBER",
    help="What a column is: a member of a prediction, score_CLASS, tag_KEY, or truth",
)
@click.option("--utc", is_flag=True, help="Read times without an offset as UTC")
@click.option("--from-row", default=0, show_default=True, help="Skip the rows before, from 0")
@click.option("--no-refresh", is_flag=True, help="Leave the levels to the worker")
@click.option("--workspace", default=DEFAULT_WORKSPACE, show_default=True, help="Created if absent")
@data_option
@click.pass_obj
def load(
    settings: Settings,
    /,
    files: Sequence[Path],
    pairs: Sequence[str],
    utc: bool,
    from_row: int,
    no_refresh: bool,
    workspace: str,
    data: Path | None,
    **names: str | None,
) -> None:
    """Store the rows of files: Parquet, CSV, NDJSON or Arrow.

    Columns are named as the members of a prediction. A column truth or actual makes a truth of each
    row, too; truth_label and truth_value say of which kind. Repeated rows are duplicates, so a load
    that was interrupted can be run again.

    Exit code 1 if rows were refused; all others are stored.
    """
    mapping = FileMapping(_pairs(pairs), {k: v for k, v in names.items() if v}, utc=utc)
    with connected(settings, data, create=True) as database:
        with database.writing() as conn:
            workspace_id = find_or_create_workspace(conn, workspace)
        loads = [_Load(database, workspace_id, path, mapping, from_row) for path in files]
        for one in loads:
            one.run()
        if not no_refresh:
            _refresh(database)
    if any(one.refused for one in loads):
        raise SystemExit(1)


def _pairs(pairs: Sequence[str]) -> dict[str, str]:
    for pair in pairs:
        if not all(pair.partition("=")):
            raise click.BadParameter(f"{pair!r} is not COLUMN=MEMBER", param_hint="--map")
    return {column: member for column, _, member in (pair.rpartition("=") for pair in pairs)}


class _Load:
    """One file."""

    def __init__(
        self,
        database: Database,
        workspace_id: int,
        path: Path,
        mapping: FileMapping,
        from_row: int,
    ) -> None:
        self._path = path
        self._mapping = mapping
        self._from_row = from_row
        self._predictions = BulkIngest(database, workspace_id, PREDICTIONS)
        self._truths = BulkIngest(database, workspace_id, TRUTHS)
        self._ignored: Sequence[str] = ()
        self._next_row = from_row

    @property
    def refused(self) -> int:
        """Rows that are invalid."""
        return self._predictions.verdict.refused + self._truths.verdict.refused

    def run(self) -> None:
        """Store the file, and report what was done.

        Raises:
            TruthlineError: it can't be read or stored; the message says how to go on.
        """
        began = time.perf_counter()
        try:
            with _progress(self._path.name) as show:
                for done in self._steps():
                    show(done, self._next_row, time.perf_counter() - began)
        except (TruthlineError, KeyboardInterrupt) as error:
            raise InvalidInput(self._how_to_go_on(error)) from error
        self._report(time.perf_counter() - began)

    def _steps(self) -> Iterator[float]:
        """Store part after part; yields the share of the file that is done."""
        row_id = f"{self._path.stem[:100]}-{fingerprint(self._path)}"
        with closing(read_file(self._path)) as parts:
            for part in parts:
                if (rest := part.since(self._from_row)) is not None:
                    rows = mapped(rest, self._mapping, row_id)
                    self._ignored = rows.ignored
                    if rows.predictions is not None:
                        self._predictions.store(rows.predictions)
                    if rows.truths is not None:
                        self._truths.store(rows.truths)
                    self._next_row = rest.end
                yield part.done

    def _how_to_go_on(self, error: BaseException) -> str:
        reason = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
        return (
            f"{self._path}: {reason}\nThe first {self._next_row:,} rows are done. Run the same"
            f" command again: stored rows are duplicates; --from-row {self._next_row} skips them."
        )

    def _report(self, seconds: float) -> None:
        for name, ingest in (("predictions", self._predictions), ("truths", self._truths)):
            if ingest.verdict.rows:
                click.echo(f"{self._path.name}: {_counted(name, ingest.verdict, seconds)}")
        if self._ignored:
            click.echo(f"  ignored columns: {', '.join(self._ignored)}", err=True)
        errors = [*self._predictions.verdict.errors, *self._truths.verdict.errors]
        for error in errors[:SHOWN_ERRORS]:
            click.echo(f"  {_described(error)}", err=True)


def _counted(name: str, verdict: BulkVerdict, seconds: float) -> str:
    parts = [f"{verdict.accepted:,} stored"]
    for count, what in (
        (verdict.duplicates, "duplicates"),
        (verdict.pending, "waiting for their prediction"),
        (verdict.refused, "refused"),
    ):
        if count:
            parts.append(f"{count:,} {what}")
    rate = verdict.rows / max(seconds, 1e-9)
    return f"{name}: {', '.join(parts)}, in {seconds:.1f} s ({rate:,.0f} rows/s)"


def _described(error: RowError) -> str:
    without_offset = error.field == "time" and "offset" in error.reason
    hint = "; --utc reads such times as UTC" if without_offset else ""
    return f"row {error.index}: {f'{error.field} {error.reason}'.strip()}{hint}"


@contextmanager
def _progress(name: str) -> Iterator[Callable[[float, int, float], None]]:
    """Shows a bar on a terminal, of the share that is done, rows and seconds."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, disable=not console.is_terminal, transient=True
    ) as bar:
        task = bar.add_task(name, total=1.0, rate="")

        def show(done: float, rows: int, seconds: float) -> None:
            rate = f"{rows:,} rows, {rows / max(seconds, 1e-9):,.0f}/s"
            bar.update(task, completed=done, rate=rate)

        yield show


def _refresh(database: Database) -> None:
    began = time.perf_counter()
    levels = refresh(database)
    clean = sum(1 for level in levels if level.clean_until)
    click.echo(f"levels: {clean} of {len(levels)} filled in {time.perf_counter() - began:.1f} s")
