"""A worker process that ends takes nothing with it."""

import json
import os
import re
import signal
import time

import psutil
import requests

from tests.cli.test_commands import served


def worker_of(base):
    """Process id of a worker: a child of the process that serves at this port."""
    port = base.rsplit(":", 1)[1]
    (master,) = (
        process
        for process in psutil.Process().children()
        if {"serve", port} <= set(process.cmdline())
    )
    return master.children()[0].pid


def send(base, number):
    row = {"model": "m", "label": "a", "requestId": f"r{number}"}
    body = json.dumps({"predictions": [row]})
    headers = {"Content-Type": "application/json", "Connection": "close"}
    return requests.post(f"{base}/api/v1/predictions", data=body, headers=headers, timeout=10)


def test_requests_go_on_after_a_worker_was_terminated(tmp_path):
    with served(tmp_path / "data", "--no-auth", "--workers", "2") as base:
        os.kill(worker_of(base), signal.SIGTERM)
        time.sleep(1)  # for the master to start another
        answers = [send(base, number).status_code for number in range(12)]
        metrics = requests.get(f"{base}/metrics", timeout=5)

    assert answers == [200] * 12
    assert metrics.ok
    assert re.search(r'ingested_rows_total\{kind="predictions",verdict="accepted"\}', metrics.text)
