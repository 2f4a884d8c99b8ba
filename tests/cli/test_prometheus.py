"""A real Prometheus scrapes a running server, which restarts in between, and counts as we do.

TRUTHLINE_TEST_PROMETHEUS_SECONDS says for how long; a few seconds unless it is set.
"""

import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from itertools import pairwise

import pytest
import requests

from tests.api.events_given import feedback, headers
from tests.cli.test_commands import served
from tests.servers import free_port

PROMETHEUS = shutil.which("prometheus")
SECONDS = float(os.environ.get("TRUTHLINE_TEST_PROMETHEUS_SECONDS", "4"))
PATIENCE_S = 30
RIGHT, WRONG = feedback([[0.1, 0.9]], [[0, 1]]), feedback([[0.9, 0.1]], [[0, 1]])
CONFIG = """
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: truthline
    metrics_path: /v1/metrics
    static_configs:
      - targets: ["{target}"]
"""

pytestmark = pytest.mark.skipif(
    PROMETHEUS is None, reason="NO PROMETHEUS ON THIS MACHINE: nothing has scraped /v1/metrics"
)


class Prometheus:
    """A running Prometheus that scrapes one target."""

    def __init__(self, base, log):
        self.base = base
        self.log = log

    def get(self, path, **query):
        answer = requests.get(f"{self.base}/api/v1/{path}", params=query, timeout=10)
        assert answer.ok, answer.text
        return answer.json()["data"]

    def query(self, question, at=None):
        """The one series of a query: its value, or its (time, value) samples."""
        (series,) = self.get("query", query=question, **({"time": at} if at else {}))["result"]
        if "values" in series:
            return [(time_, float(value)) for time_, value in series["values"]]
        return float(series["value"][1])

    def has(self, question, value):
        found = self.get("query", query=question)["result"]
        return [float(series["value"][1]) for series in found] == [value]


@contextmanager
def scraping(target, directory):
    """A Prometheus in a directory of its own, on a port of loopback."""
    (directory / "prometheus.yml").write_text(CONFIG.format(target=target))
    port, log = free_port(), directory / "log"
    command = [PROMETHEUS, f"--config.file={directory / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={directory / 'tsdb'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}"]
    with log.open("w") as written, subprocess.Popen(command, stderr=written) as process:
        try:
            prometheus = Prometheus(f"http://127.0.0.1:{port}", log)
            until(lambda: reachable(f"{prometheus.base}/-/ready"))
            yield prometheus
        finally:
            process.terminate()


def reachable(url):
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


def until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.1)


class Sender:
    """Sends feedback, every third one twice, and knows what it sent."""

    def __init__(self, base):
        self.base = base
        self.sent = {"true_positive": 0, "false_negative": 0}

    def send(self, *, for_seconds):
        deadline = time.monotonic() + for_seconds
        while time.monotonic() < deadline:
            self._send_one()
            time.sleep(0.02)

    def _send_one(self):
        number = sum(self.sent.values())
        counter, body = [("true_positive", RIGHT), ("false_negative", WRONG)][number % 5 == 0]
        for _ in range(2 if number % 3 == 0 else 1):
            named = headers(str(number), requestid=str(number))
            answer = requests.post(f"{self.base}/", json=body, headers=named, timeout=10)
            assert answer.status_code == 200, answer.text
        self.sent[counter] += 1


def name_of(counter):
    return f"seldon_metric_{counter}_total"


def test_prometheus_counts_what_was_sent_across_a_restart(tmp_path):
    data, port = tmp_path / "data", free_port()
    sender = Sender(f"http://127.0.0.1:{port}")
    arguments = ("--no-auth", "--workers", "2")
    with scraping(f"127.0.0.1:{port}", tmp_path) as prometheus:
        with served(data, *arguments, port=port):
            sender.send(for_seconds=SECONDS / 2)
            until(lambda: prometheus.has(name_of("true_positive"), sender.sent["true_positive"]))
        with served(data, *arguments, port=port):
            sender.send(for_seconds=SECONDS / 2)
            for counter, sent in sender.sent.items():
                until(lambda c=counter, n=sent: prometheus.has(name_of(c), n))
            (target,) = prometheus.get("targets")["activeTargets"]

        assert (target["health"], target["lastError"]) == ("up", "")
        assert prometheus.query(f"resets({name_of('true_positive')}[1h])") == 0
        for counter, sent in sender.sent.items():
            increase_agrees(prometheus, name_of(counter), sent)
        assert complaints(prometheus.log) == []


def increase_agrees(prometheus, name, sent):
    """From the first scrape that saw any to the last; both are edges, so nothing is estimated."""
    samples = prometheus.query(f"{name}[1h]")
    (first, before), (last, after) = samples[0], samples[-1]
    assert after == sent
    assert all(one <= other for (_, one), (_, other) in pairwise(samples))
    milliseconds = round(1000 * (last - first))
    found = prometheus.query(f"increase({name}[{milliseconds}ms])", at=last)
    assert found == pytest.approx(after - before, rel=1e-9)
    assert after - before > 0


def complaints(log):
    """What Prometheus said of scrapes that it could not read."""
    lines = log.read_text().splitlines()
    told = [line for line in lines if "level=warn" in line or "level=error" in line]
    return [line for line in told if "scrape" in line or "parse" in line]
