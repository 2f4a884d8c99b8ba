"""The published `inference` server's own pingback code posts to us, unmodified, over HTTP.

In addition to `requests` and the standard library, it imports its settings, its logger, its cache
and a scheduler that is not started; this module provides those. The whole package would bring a
machine-learning stack of gigabytes, so `make .venv` installs it apart and alone.
"""

import logging
import sys
import time
from datetime import UTC, datetime, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.api.live import serving
from tests.api.roboflow_given import stats

PUBLISHED = Path(sys.prefix) / "published" / "inference" / "core" / "managers"
MODEL = "cards-3z9gn/4"

pytestmark = pytest.mark.skipif(
    not PUBLISHED.exists(), reason="no published inference package here: run make .venv"
)


class Cache:
    """Results by the time they were finished at, as the server's own cache gives them."""

    def __init__(self):
        self.results = []

    def zrangebyscore(self, key, min, max, withscores):  # noqa: A002 - the server's names
        assert (key, withscores) == (f"inference:q0LnKF:{MODEL}", True)
        return [(result, at) for at, result in self.results if min <= at <= max]


@pytest.fixture
def url(app):
    """The service on a port."""
    with serving(app) as url:
        yield url


@pytest.fixture
def cache():
    return Cache()


@pytest.fixture
def pingback(url, cache, workspace, monkeypatch):
    """The published module, configured for this service."""

    def provide(name, **members):
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)

    def load(name):
        spec = spec_from_file_location(f"inference.core.managers.{name}", PUBLISHED / f"{name}.py")
        module = module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    for package in ("inference", "inference.core", "inference.core.managers"):
        provide(package, __path__=[])
    provide("apscheduler.schedulers.background", BackgroundScheduler=lambda **_: None)
    provide(
        "inference.core.devices.utils", GLOBAL_DEVICE_ID="vm", GLOBAL_INFERENCE_SERVER_ID="q0LnKF"
    )
    provide(
        "inference.core.env",
        API_KEY=workspace.ingest_key,
        METRICS_ENABLED=True,
        METRICS_INTERVAL=60,
        METRICS_URL=f"{url}/inference-stats",
        OFFLINE_MODE=False,
        ROBOFLOW_API_VERIFY_SSL=True,
        TAGS=[""],
    )
    provide("inference.core.logger", logger=logging.getLogger("inference"))
    monitoring = SimpleNamespace(model_monitoring_cache=cache)
    provide("inference.core.cache", model_monitoring=monitoring)
    provide(
        "inference.core.utils.requests",
        api_key_safe_raise_for_status=lambda response: response.raise_for_status(),
    )
    provide("inference.core.utils.url_utils", wrap_url=lambda url: url)
    provide("inference.core.version", __version__="1.8.3")
    load("metrics")
    return load("pingback")


def finished(number, *confidences, images=True):
    """A result as the server caches it; a single image's answer may be cached on its own."""
    found = [{"class": "Playingcards", "confidence": c} for c in confidences]
    answer = {"predictions": found, "time": 0.125}
    return {
        "inference_id": f"published-{number}",
        "inference_server_version": "1.8.3",
        "inference_server_id": "q0LnKF",
        "request": {"api_key": None, "model_id": MODEL, "confidence": 0.4},
        "response": ([answer] if images else answer) if found else [],
    }


def test_the_published_pingback(pingback, cache, client, workspace, caplog):
    caplog.set_level(logging.DEBUG, logger="inference")
    now = time.time()
    manager = SimpleNamespace(uuid="uuid", models=lambda: {MODEL: None})
    info = pingback.PingbackInfo(manager)

    info.post_data(manager)  # a heartbeat
    cache.results = [(now - 3, finished(1, 0.5, 1.0)), (now - 2, finished(2, 0.75, images=False))]
    info.post_data(manager)
    cache.results.append((now - 1, finished(3)))
    info.post_data(manager)  # its windows overlap

    said = [record.message for record in caplog.records if record.name == "inference"]
    assert sum(line.startswith("Sent metrics to Roboflow") for line in said) == 3
    assert not [line for line in said if "Error" in line]
    day = {
        "startTime": "",
        "endTime": f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
    }
    answer = stats(client, workspace, **day)
    assert (answer["num_inferences"], answer["avg_confidence"]) == (3, 0.5625)
    rows = [
        (r["predicted_class"], r["class_count"], r["inference_server_versions"], r["model_name"])
        for r in answer["inference_stats"]
    ]
    assert rows == [("Playingcards", 3, "1.8.3", "cards-3z9gn"), ("", 1, "1.8.3", "cards-3z9gn")]
