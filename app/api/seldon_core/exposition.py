"""Serializes metrics from the database for Prometheus and OpenMetrics."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from math import inf

from flask import Response, request
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.utils import floatToGoString

from app.query.event_metrics import EventMetric

OPENMETRICS = "application/openmetrics-text"
TYPES = {"counter": "counter", "gauge": "gauge", "timer": "histogram"}


class Families:
    """A collector of these metrics: one family per name."""

    def __init__(self, metrics: Iterable[EventMetric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """The families, ordered by name."""
        for name, metrics in groupby(self._metrics, key=lambda metric: metric.name):
            yield _family(name, list(metrics))


def expose(metrics: Iterable[EventMetric]) -> Response:
    """Respond with metrics in the format that the request prefers."""
    if _prefers_openmetrics():
        body = openmetrics.generate_latest(Families(metrics))  # type: ignore[no-untyped-call] # no types there
        return Response(body, content_type=openmetrics.CONTENT_TYPE_LATEST)
    return Response(generate_latest(Families(metrics)), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _prefers_openmetrics() -> bool:
    """Whether Accept prefers OpenMetrics to plain text."""
    qualities = {"text": 0.0, OPENMETRICS: 0.0}
    for accepted, quality in request.accept_mimetypes:
        kind = OPENMETRICS if accepted.split(";")[0].strip() == OPENMETRICS else "text"
        qualities[kind] = max(qualities[kind], quality)
    return 0 < qualities[OPENMETRICS] >= qualities["text"]


def _family(name: str, metrics: list[EventMetric]) -> Metric:
    family = Metric(name, "", TYPES[metrics[0].type])
    for metric in metrics:
        labels = dict(metric.labels)
        if metric.type == "timer":
            for upper, n in metric.bins:
                family.add_sample(f"{name}_bucket", labels | {"le": _le(upper)}, n)
                if upper == inf:
                    family.add_sample(f"{name}_count", labels, n)
            family.add_sample(f"{name}_sum", labels, metric.value)
        else:
            suffix = "_total" if metric.type == "counter" else ""
            family.add_sample(name + suffix, labels, metric.value)
    return family


def _le(seconds: float) -> str:
    text: str = floatToGoString(seconds)  # type: ignore[no-untyped-call] # no types there
    return text
