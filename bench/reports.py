"""The metrics of one model's window: next to Evidently's report and scikit-learn's.

Evidently reads the rows from a data frame in memory, in an environment of its own; Truthline
answers over HTTP. Run it with

    python -m bench.reports [predictions]
"""

import sys
from contextlib import ExitStack
from datetime import timedelta
from functools import partial

import httpx
import numpy as np
import sklearn
from sklearn.metrics import classification_report

from bench import peers
from bench.data import START, WEEK, generate, model_name
from bench.database import fresh_database
from bench.load import load, served
from bench.questions import MODEL, Asked, as_parquet, of_model
from bench.report import Sample, heading, note, note_versions
from bench.timing import seconds_of

CLOSE = 1e-9
WINDOWS = {
    "metrics of a week": Asked(START, START + WEEK, WEEK),
    "metrics of a day": Asked(START + timedelta(days=2), START + timedelta(days=3), WEEK),
}


def main(rows: int = 1_000_000) -> None:
    """Print milliseconds of each, and that all have the same accuracy."""
    data = generate(rows)
    note_versions(**{"scikit-learn": sklearn.__version__})
    with fresh_database() as database, served(database) as client, ExitStack() as stack:
        load(database, client, data)
        asks = {"scikit-learn": partial(by_sklearn, of_model(data))}
        if peers.installed("evidently"):
            path = stack.enter_context(as_parquet(data))
            peer = stack.enter_context(peers.running("evidently", "evidently_peer", str(path)))
            note_versions(**peer.versions)
            asks["Evidently"] = partial(by_evidently, peer)
        heading()
        for question, asked in WINDOWS.items():
            expected = by_http(client, asked)
            if any(abs(ask(asked) - expected) > CLOSE for ask in asks.values()):
                raise AssertionError("accuracies differ")
            ways = [partial(by_http, client), *asks.values()]
            ours, *theirs = seconds_of(*(partial(ask, asked) for ask in ways))
            others = (Sample(name, times) for name, times in zip(asks, theirs, strict=True))
            note(question, Sample("Truthline, HTTP", ours), *others)


def by_http(client: httpx.Client, asked: Asked) -> float:
    """The accuracy of the window."""
    window = {"startTime": asked.start.isoformat(), "endTime": asked.end.isoformat()}
    answer = client.get(
        "/api/v1/metrics/classification", params={"model": model_name(MODEL)} | window
    )
    answer.raise_for_status()
    (bucket,) = answer.json()["buckets"]
    return float(bucket["accuracy"])


def by_sklearn(columns: dict[str, np.ndarray], asked: Asked) -> float:
    """That of scikit-learn's report."""
    numbers = asked.numbers()
    begin, end = np.searchsorted(columns["time"], [numbers["start"], numbers["end"]])
    truth, predicted = columns["actual"][begin:end], columns["label"][begin:end]
    return float(classification_report(truth, predicted, output_dict=True)["accuracy"])


def by_evidently(peer: peers.Peer, asked: Asked) -> float:
    """That of Evidently's report."""
    return float(peer.ask(**asked.numbers())["accuracy"])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
