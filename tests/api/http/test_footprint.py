"""A body takes at most three times its decompressed size in memory, whatever its content."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.config import Settings
from tests.api.http.footprint import EVENT, SIZE

ROOT = Path(__file__).parents[3]
JSON, LINES = "application/json", "application/x-ndjson"
FORM = "application/x-www-form-urlencoded"
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
NATIVE = ("POST", "/api/v1/predictions", JSON)
IN_LINES = ("POST", "/api/v1/predictions", LINES)
PINGBACK = ("POST", "/inference-stats", JSON)
SELDON = "/metrics-server/api/v1/pipeline/model"
SUBSCRIBE = ("POST", f"{SELDON}/subscribe", JSON)
LIST = ("POST", "/api/v1/metrics/list-values/m", JSON)
EXPORT = "/model-monitoring/ai.h2o.mlops.monitoring.api.ModelMonitoringService/ExportMetric"
BINARY, ENVELOPES = ("POST", "/", JSON), ("POST", "/", STRUCTURED)
METADATA = ("POST", "/mine/inference-stats/metadata", JSON)
BATCHED = ("POST", "/", BATCH)
CASES = {
    NATIVE: [
        *("rows: numbers", "rows: objects", "rows: lists", "rows: members", "rows: too many"),
        *("row: detections", "row: scores", "rows: scores", "row: text", "members"),
    ],
    IN_LINES: ["lines: objects", "lines: empty", "lines: too many", "lines: detections"],
    PINGBACK: [
        *("results: numbers", "results: objects", "results: ignored", "result: images"),
        *("result: detections", "members", "text"),
    ],
    METADATA: ["data: objects", "data: ids"],
    SUBSCRIBE: ["features: objects", "features: categories", "members", "text"],
    LIST: ["values", "lists"],
    ("PUT", "/api/v1/executions/x", JSON): ["members"],
    ("POST", EXPORT, JSON): ["members"],
    BINARY: ["event: numbers", "event: lists", "event: objects", "event: metrics", "text"],
    ENVELOPES: ["structured: lists", "structured: members", "text"],
    BATCHED: ["numbers", "objects"],
}
# What anybody may send, who has no key.
OPEN = {
    PINGBACK: ["results: objects", "result: detections", "members", "text"],
    METADATA: ["data: objects"],
    ("POST", "/api/v1/auth/refresh", JSON): ["members"],
    ("POST", "/auth/realms/h2o/protocol/openid-connect/token", FORM): ["form"],
    ("POST", "/login", FORM): ["form"],
    NATIVE: ["rows: objects"],
    SUBSCRIBE: ["features: objects"],
    BINARY: ["event: lists"],
}


@pytest.fixture(scope="module")
def process(shared_settings, database):
    """The process that makes the requests."""
    command = [sys.executable, "-m", "tests.api.http.footprint", shared_settings.database_url]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as running:
        yield running
        running.stdin.close()


def cost(process, name, method, path, type_, headers):
    """Status and bytes at the peak of one request."""
    headers = {"Content-Type": type_} | headers
    if (path, type_) == ("/", JSON):
        headers |= EVENT
    process.stdin.write(json.dumps([name, method, path, headers]) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def named(cases):
    return [
        pytest.param(name, *where, id=f"{where[1]} {name}")
        for where, names in cases.items()
        for name in names
    ]


@pytest.mark.parametrize(("name", "method", "path", "type_"), named(CASES))
def test_no_body_costs_more_than_three_times_its_size(
    process, workspace, name, method, path, type_
):
    headers = {"Authorization": f"Bearer {workspace.admin_key}"}
    status, peak = cost(process, name, method, path, type_, headers)
    print(f"FOOT key {path} {name} {status} {peak / SIZE:.2f} {peak >> 20} MiB")  # noqa: T201 - the figures, shown by -s

    assert 400 <= status < 500
    assert peak <= 3 * SIZE


def test_events_of_too_many_rows_cost_no_more_than_those_that_could_be_stored(process, workspace):
    headers = {"Authorization": f"Bearer {workspace.admin_key}"}
    status, peak = cost(process, "events: rows", *BATCHED, headers)

    assert status == 413
    assert peak <= 3 * SIZE + Settings().max_batch_rows * 500


@pytest.mark.parametrize(("name", "method", "path", "type_"), named(OPEN))
def test_a_stranger_costs_nothing(process, name, method, path, type_):
    status, peak = cost(process, name, method, path, type_, {})
    print(f"FOOT open {path} {name} {status} {peak / SIZE:.2f} {peak >> 20} MiB")  # noqa: T201 - the figures, shown by -s

    assert status in (401, 413)
    assert peak <= SIZE / 4
