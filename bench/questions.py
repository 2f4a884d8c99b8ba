"""One model's week over HTTP: next to SQL over the rows, DuckDB, chDB and scikit-learn.

All have the same rows. The peers count label and truth per bucket; Truthline answers with the
metrics of each bucket and its confusion matrix, through HTTP and JSON. scikit-learn computes
precision, recall and F1 of each bucket from arrays in memory. On Community, SQL is asked over the
columnstore, too. Run it with

    python -m bench.questions [predictions]
"""

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import httpx
import numpy as np
import sklearn
from pyarrow import parquet
from sklearn.metrics import precision_recall_fscore_support
from sqlalchemy import text

from app.store.database import Database
from bench import peers
from bench.data import CLASSES, MICROSECONDS, START, WEEK, Data, generate, joined, model_name
from bench.database import fresh_database
from bench.levels import compress
from bench.load import load, served
from bench.report import Sample, heading, note, note_versions
from bench.timing import seconds_of

MODEL = 0
HOUR = timedelta(hours=1)
BY_SQL = text("""
    SELECT date_bin(CAST(:width AS interval), time, CAST(:start AS timestamptz)),
           predicted_label, actual_label, sum(weight)
    FROM outcome JOIN series ON series.id = series_id JOIN model ON model.id = model_id
    WHERE model.name = :model
      AND time >= CAST(:start AS timestamptz) AND time < CAST(:end AS timestamptz)
    GROUP BY 1, 2, 3 HAVING sum(weight) <> 0
""")
LATER = f"{datetime.now(UTC) + timedelta(days=60):%FT%TZ}"  # than any chunk of today ends
Way = Callable[["Asked"], int]


@dataclass(frozen=True, slots=True)
class Asked:
    """A window of one model, and the width of its buckets."""

    start: datetime
    end: datetime
    width: timedelta

    def numbers(self) -> dict[str, int]:
        """For engines: microseconds since 1970."""
        edges = (int(edge.timestamp()) * MICROSECONDS for edge in (self.start, self.end))
        width = int(self.width.total_seconds()) * MICROSECONDS
        return dict(zip(("start", "end"), edges, strict=True)) | {"width": width, "model": MODEL}


AT_22 = START + timedelta(seconds=22)
NOON = START + timedelta(days=3, hours=12, seconds=22)
QUESTIONS = {
    "a week by hour": Asked(START, START + WEEK, HOUR),
    "a week by six hours": Asked(START, START + WEEK, 6 * HOUR),
    "100 buckets from :22 s": Asked(AT_22, AT_22 + 100 * HOUR, HOUR),
    "12 buckets of 10 seconds": Asked(NOON, NOON + timedelta(minutes=2), timedelta(seconds=10)),
}


def main(rows: int = 1_000_000) -> None:
    """Print milliseconds of each question and way, and that all counted the same rows."""
    data = generate(rows)
    note_versions(**{"scikit-learn": sklearn.__version__})
    with fresh_database() as database, served(database) as client, ExitStack() as stack:
        load(database, client, data)
        elsewhere = dict(engines(stack, data))
        ways: dict[str, Way] = {
            "SQL over the rows": partial(by_sql, database),
            **elsewhere,
            "scikit-learn": partial(by_sklearn, of_model(data)),
        }
        heading()
        report(client, ways)
        if compress(database, received_before=LATER):
            in_columnstore = {"SQL over the columnstore": ways["SQL over the rows"]}
            report(client, in_columnstore, ", columnstore")


def report(client: httpx.Client, ways: Mapping[str, Way], more: str = "") -> None:
    """A comparison of each question."""
    for question, asked in QUESTIONS.items():
        counted = {by_http(client, asked), *(way(asked) for way in ways.values())}
        if len(counted) != 1:
            raise AssertionError(f"{question}: rows differ: {counted}")
        asks: list[Way] = [partial(by_http, client), *ways.values()]
        ours, *theirs = seconds_of(*(partial(ask, asked) for ask in asks))
        peers_ = (Sample(name, times) for name, times in zip(ways, theirs, strict=True))
        note(question + more, Sample("Truthline, HTTP", ours), *peers_)


def by_http(client: httpx.Client, asked: Asked) -> int:
    """Truths of the answer."""
    answer = client.get(
        "/api/v1/metrics/classification",
        params={
            "model": model_name(MODEL),
            "startTime": asked.start.isoformat(),
            "endTime": asked.end.isoformat(),
            "interval": f"{asked.width.total_seconds():.0f}s",
        },
    )
    answer.raise_for_status()
    return sum(bucket["n"] for bucket in answer.json()["buckets"])


def by_sql(database: Database, asked: Asked) -> int:
    """What one would write without levels."""
    told = {"start": asked.start, "end": asked.end, "width": asked.width}
    with database.reading() as conn:
        return sum(row[3] for row in conn.execute(BY_SQL, told | {"model": model_name(MODEL)}))


def of_model(data: Data) -> dict[str, np.ndarray]:
    """Columns of the rows of the model, by time."""
    chosen = data.model == MODEL
    return {name: getattr(data, name)[chosen] for name in ("time", "label", "actual")}


def by_sklearn(columns: Mapping[str, np.ndarray], asked: Asked) -> int:
    """Precision, recall and F1 of each class in each bucket that has rows."""
    numbers = asked.numbers()
    edges = np.arange(numbers["start"], numbers["end"] + 1, numbers["width"])
    places = np.searchsorted(columns["time"], edges)
    classes = list(range(len(CLASSES)))
    for begin, end in pairwise(places):
        if begin < end:
            truth, predicted = columns["actual"][begin:end], columns["label"][begin:end]
            precision_recall_fscore_support(truth, predicted, labels=classes, zero_division=0)
    return int(places[-1] - places[0])


def engines(stack: ExitStack, data: Data) -> Iterator[tuple[str, Way]]:
    """DuckDB and chDB, where their environment has been made."""
    if not peers.installed("engines"):
        return
    path = stack.enter_context(as_parquet(data))
    for name, title in (("duckdb", "DuckDB in process"), ("chdb", "chDB in process")):
        peer = stack.enter_context(peers.running("engines", "engines_peer", name, str(path)))
        note_versions(**peer.versions)
        yield title, partial(by_engine, peer)


def by_engine(peer: peers.Peer, asked: Asked) -> int:
    """What an engine counted."""
    return int(peer.ask(**asked.numbers())["rows"])


@contextmanager
def as_parquet(data: Data) -> Iterator[Path]:
    """The rows as a file for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="truthline-bench-") as directory:
        path = Path(directory) / "rows.parquet"
        parquet.write_table(joined(data), path)
        yield path


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
