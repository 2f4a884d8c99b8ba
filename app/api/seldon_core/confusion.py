"""Confusion counters: what Seldon's metrics server counts for a prediction and its truth.

A "true negative" is as the vendor defines it: counted for the class of a true positive, and no
other.
"""

from collections.abc import Iterator, Mapping

from app.api.seldon_core.readings import PREFIX, Class, MetricKind
from app.ingest.events.lookups import Lookup
from app.ingest.events.metrics import Sample, sample
from app.store.event_metrics import EventMetricType

Labels = Mapping[str, str]
CLASS = "class"  # the label with the name of the class


def confusion_samples(
    kind: MetricKind, predicted: Class, actual: Class, labels: Labels
) -> Iterator[Sample]:
    """What a prediction and its truth add to the counters."""
    right = predicted.name == actual.name
    if kind is MetricKind.BINARY:
        positive = actual.name != f"{PREFIX}0"
        count = f"{'true' if right else 'false'}_{'positive' if positive == right else 'negative'}"
        yield _sample(count, labels)
    elif right:
        yield _sample("true_positive", labels, actual.printed)
        yield _sample("true_negative", labels, predicted.printed)
    else:
        yield _sample("false_negative", labels, actual.printed)
        yield _sample("false_positive", labels, predicted.printed)


def confusion_lookup(kind: MetricKind, actual: str, labels: Labels) -> Lookup:
    """The same for a truth whose prediction is looked up; classes are printed as stored."""
    true = Class(actual, actual)
    right = tuple(confusion_samples(kind, true, true, labels))
    if kind is MetricKind.BINARY:
        other = Class("", "")
        return Lookup(actual, right, tuple(confusion_samples(kind, other, true, labels)))
    missed = _sample("false_negative", labels, actual)
    return Lookup(actual, right, (missed,), ((CLASS, _sample("false_positive", labels)),))


def _sample(count: str, labels: Labels, class_: str | None = None) -> Sample:
    of_class = {} if class_ is None else {CLASS: class_}
    return sample(f"seldon_metric_{count}", EventMetricType.COUNTER, {**of_class, **labels}, 1)
