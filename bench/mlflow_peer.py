"""MLflow's own client, asked for one thing at a time: a line in is a question, a line out seconds.

It runs in an environment of its own (see bench/steps.py), which has nothing of Truthline.
"""

import sys
import time

from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

BATCH = 1_000  # what MLflow takes in one call
VALUES, LISTS, NAMES = 50_000, 2, 100


class Peer:
    """A run with two metrics of 50,000 values, and one with 100 metrics."""

    def __init__(self, url: str) -> None:
        self.client = MlflowClient(url)
        self.experiment = self.client.create_experiment("steps")
        self.logged = ""
        self.named = self._run()
        now = _milliseconds()
        metrics = [Metric(f"metric-{number}", 0.5, now, 0) for number in range(NAMES)]
        self.client.log_batch(self.named, metrics)

    def _run(self) -> str:
        run_id: str = self.client.create_run(self.experiment).info.run_id
        return run_id

    def log(self) -> None:
        """Log 100,000 values in batches of 1,000, the most there can be."""
        self.logged, now = self._run(), _milliseconds()
        metrics = [
            Metric(f"list-{place}", number / 7, now, number)
            for place in range(LISTS)
            for number in range(VALUES)
        ]
        for start in range(0, len(metrics), BATCH):
            self.client.log_batch(self.logged, metrics[start : start + BATCH])

    def list(self) -> None:
        """Read the 50,000 values of one metric."""
        found = self.client.get_metric_history(self.logged, "list-1")
        assert len(found) == VALUES  # noqa: S101 - or the measurement means nothing

    def last(self) -> None:
        """Read the last values of 100 metrics."""
        found = self.client.get_run(self.named).data.metrics
        assert len(found) == NAMES  # noqa: S101 - as above


def _milliseconds() -> int:
    return int(time.time() * 1000)


def main(url: str) -> None:
    """Answer questions until there are no more."""
    peer = Peer(url)
    print("ready", flush=True)
    for line in sys.stdin:
        ask = {"log": peer.log, "list": peer.list, "last": peer.last}[line.strip()]
        began = time.perf_counter()
        ask()
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
