"""MLflow's own client, asked for one thing at a time (bench/steps.py)."""

import json
import sys
import time

import mlflow
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

BATCH = 1_000  # what MLflow takes in one call
LISTS, NAMES = 2, 100


class Peer:
    """A run with two metrics of many values, and one with 100 metrics."""

    def __init__(self, url: str, values: int) -> None:
        self.values = values
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
        """Log two lists in batches of 1,000, the most there can be."""
        self.logged, now = self._run(), _milliseconds()
        metrics = [
            Metric(f"list-{place}", number / 7, now, number)
            for place in range(LISTS)
            for number in range(self.values)
        ]
        for start in range(0, len(metrics), BATCH):
            self.client.log_batch(self.logged, metrics[start : start + BATCH])

    def list(self) -> None:
        """Read all values of one metric."""
        found = self.client.get_metric_history(self.logged, "list-1")
        assert len(found) == self.values  # noqa: S101 - or the measurement means nothing

    def last(self) -> None:
        """Read the last values of 100 metrics."""
        found = self.client.get_run(self.named).data.metrics
        assert len(found) == NAMES  # noqa: S101 - as above


def _milliseconds() -> int:
    return int(time.time() * 1000)


def main(url: str, values: str) -> None:
    """Answer questions until there are no more."""
    peer = Peer(url, int(values))
    print(json.dumps({"MLflow": mlflow.__version__}), flush=True)
    for line in sys.stdin:
        asks = {"log": peer.log, "list": peer.list, "last": peer.last}
        ask = asks[json.loads(line)["what"]]
        began = time.perf_counter()
        ask()
        print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
