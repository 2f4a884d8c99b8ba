"""Metrics of the sender's own, which a feedback brings along in `truth.meta.metrics`."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from app.ingest.events.metrics import Sample, sample
from app.ingest.fields import MAX_MAGNITUDE, MAX_NAME_LENGTH
from app.store.metrics import MetricType

# What Prometheus takes for names of metrics and labels.
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,199}")
_TAG = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]{0,199}")
MILLISECOND = 0.001


class CustomMetric(msgspec.Struct):
    """A metric as `truth.meta.metrics` has it."""

    key: str
    type: str
    value: float
    tags: dict[str, str] = {}


def custom_samples(metrics: Any, labels: Mapping[str, str]) -> list[Sample]:
    """Samples of metrics that a feedback brings along: all, or, as at the vendor's, none.

    One that Prometheus couldn't read is as invalid as one without a value.
    """
    if not metrics:
        return []
    try:
        given = msgspec.convert(metrics, type=list[CustomMetric])
    except msgspec.ValidationError:
        return []
    samples = [made for one in given if (made := _custom_sample(one, labels))]
    return samples if len(samples) == len(given) else []


def _custom_sample(one: CustomMetric, labels: Mapping[str, str]) -> Sample | None:
    merged = one.tags | dict(labels)
    if not _can_be_exposed(one) or (one.value < 0 and one.type != "GAUGE"):  # no other may fall
        return None
    match one.type:
        case "COUNTER":
            return sample(one.key.removesuffix("_total"), MetricType.COUNTER, merged, one.value)
        case "GAUGE":
            return sample(one.key, MetricType.GAUGE, merged, one.value)
        case "TIMER" if "le" not in one.tags:
            timer = sample(one.key, MetricType.TIMER, merged, one.value * MILLISECOND)
            # one named x_sum would stand in the way of one named x
            return timer if timer.metric.stem == one.key else None
    return None


def _can_be_exposed(one: CustomMetric) -> bool:
    texts = one.tags.values()
    return bool(
        _NAME.fullmatch(one.key)
        and all(map(_TAG.fullmatch, one.tags))
        and all(len(text) <= MAX_NAME_LENGTH and "\0" not in text for text in texts)
        and -MAX_MAGNITUDE <= one.value <= MAX_MAGNITUDE
    )
