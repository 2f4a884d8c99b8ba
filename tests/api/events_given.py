"""Events as Seldon's executor sends them, and the metrics that they add up to."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import TestResponse

from app.factory import create_app
from app.store.database import Database

# As the vendor's walk-through has it.
SEED = {
    "response": {
        "data": {"ndarray": [[0.0006985194531162841, 0.003668039039435755, 0.9956334415074478]]}
    },
    "truth": {"data": {"ndarray": [[0, 0, 1]]}},
}
FEEDBACK = "io.seldon.serving.feedback"
REQUEST = "io.seldon.serving.inference.request"
RESPONSE = "io.seldon.serving.inference.response"
ATTRIBUTES = {
    "specversion": "1.0",
    "type": FEEDBACK,
    "source": "http://localhost:8000/",
    "time": "2026-03-01T10:00:00Z",
    "requestid": "r1",
    "modelid": "classifier",
    "inferenceservicename": "multiclass-model",
    "namespace": "default",
    "endpoint": "main",
}
DAY = {"startTime": "2026-03-01T00:00:00Z", "endTime": "2026-03-02T00:00:00Z"}
# The model of these events, as native and Seldon's newer metrics name it.
NATIVE = {"namespace": "default", "pipeline": "multiclass-model", "model": "classifier"} | DAY


def attributes(id_: str = "1", **given: Any) -> dict[str, Any]:
    """Attributes of an event; None leaves one out."""
    every = ATTRIBUTES | {"id": id_} | given
    return {name: value for name, value in every.items() if value is not None}


def headers(id_: str = "1", **given: Any) -> dict[str, str]:
    """The same as headers."""
    return {f"ce-{name}": value for name, value in attributes(id_, **given).items()}


def send(client: FlaskClient, body: Any = SEED, id_: str = "1", **given: Any) -> TestResponse:
    """Post one event in binary mode."""
    return client.post("/", json=body, headers=headers(id_, **given))


def message(rows: Any, **more: Any) -> dict[str, Any]:
    return {"data": {"ndarray": rows}} | more


def feedback(response: Any, truth: Any, **meta: Any) -> dict[str, Any]:
    body = {"truth": message(truth, **({"meta": meta} if meta else {}))}
    return body if response is None else body | {"response": message(response)}


def configured(
    app: Flask, database: Database, directory: Path, *deployments: Mapping[str, str]
) -> Flask:
    """The service with these deployments in its file of metrics servers."""
    tables = ["".join(f'{k} = "{v}"\n' for k, v in one.items()) for one in deployments]
    file = directory / "metrics-servers.toml"
    file.write_text("".join(f"[[deployment]]\n{table}" for table in tables))
    settings = replace(app.extensions["settings"], metrics_servers=str(file))
    return create_app(settings, database)


def samples(client: FlaskClient, *labels: str) -> dict[tuple[str | None, ...], float]:
    """Samples of /v1/metrics by (name, labels)."""
    answer = client.get("/v1/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, *(sample.labels.get(label) for label in labels)): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def counted(client: FlaskClient) -> dict[str, dict[str | None, float]]:
    """Counters as {"true_positive": {"CLASS_2": 1}}; the class of a binary one is None."""
    found: dict[str, dict[str | None, float]] = {}
    for (name, class_), value in samples(client, "class").items():
        assert name
        short = name.removeprefix("seldon_metric_").removesuffix("_total")
        found.setdefault(short, {})[class_] = value
    return found
