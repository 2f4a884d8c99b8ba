"""Custom metrics, which senders include in feedback as `truth.meta.metrics`."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from app.ingest.events.metrics import Sample, sample
from app.ingest.fields import MAX_MAGNITUDE, MAX_NAME_LENGTH
from app.store.event_metrics import EventMetricType

# Names of metrics and labels that Prometheus accepts.
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,199}")
_TAG = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]{0,199}")
MILLISECOND = 0.001


class CustomMetric(msgspec.Struct):
    """A metric in `truth.meta.metrics`."""

    key: str
    type: str
    value: float
    tags: dict[str, str] = {}


def custom_samples(metrics: Any, labels: Mapping[str, str]) -> list[Sample]:
    """Samples of the metrics in a feedback: all, or, as with the vendor's server, none.

    A metric that Prometheus couldn't parse is as invalid as one without a value.
    """
    if not metrics:
        return []
    try:
        sent = msgspec.convert(metrics, type=list[CustomMetric])
    except msgspec.ValidationError:
        return []
    samples = [_custom_sample(metric, labels) for metric in sent]
    valid = [custom for custom in samples if custom]
    return valid if len(valid) == len(sent) else []


def _custom_sample(metric: CustomMetric, labels: Mapping[str, str]) -> Sample | None:
    merged = metric.tags | dict(labels)
    can_decrease = metric.type == "GAUGE"
    if not _can_be_exposed(metric) or (metric.value < 0 and not can_decrease):
        return None
    match metric.type:
        case "COUNTER":
            return sample(
                metric.key.removesuffix("_total"), EventMetricType.COUNTER, merged, metric.value
            )
        case "GAUGE":
            return sample(metric.key, EventMetricType.GAUGE, merged, metric.value)
        case "TIMER" if "le" not in metric.tags:
            timer = sample(metric.key, EventMetricType.TIMER, merged, metric.value * MILLISECOND)
            # one named x_sum would collide with one named x
            return timer if timer.metric.stem == metric.key else None
    return None


def _can_be_exposed(metric: CustomMetric) -> bool:
    texts = metric.tags.values()
    return bool(
        _NAME.fullmatch(metric.key)
        and all(map(_TAG.fullmatch, metric.tags))
        and all(len(text) <= MAX_NAME_LENGTH and "\0" not in text for text in texts)
        and -MAX_MAGNITUDE <= metric.value <= MAX_MAGNITUDE
    )
