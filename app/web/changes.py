"""Whether a difference between two answers is more than noise, where the page has what it takes.

A share is judged by its counts, a mean absolute error by the sums of errors (`app/query/noise.py`).
The other metrics of a window are judged by its headline metric, which is of the same truths.
Nothing is known of how latencies and confidences vary, so their differences are not judged.
"""

from app.query.classification import ClassificationBucket, ClassMetrics
from app.query.health import RequestVolume
from app.query.measure import Measure
from app.query.noise import (
    Errors,
    Share,
    difference_of_errors,
    difference_of_shares,
    is_significant,
)
from app.query.regression import RegressionBucket

Bucket = ClassificationBucket | RegressionBucket


def certain(after: Bucket | None, before: Bucket | None) -> bool:
    """Whether the metrics of two windows differ by more than noise."""
    if isinstance(after, ClassificationBucket) and isinstance(before, ClassificationBucket):
        return certain_share(_accuracy(after), _accuracy(before))
    if isinstance(after, RegressionBucket) and isinstance(before, RegressionBucket):
        return is_significant(difference_of_errors(_errors(after), _errors(before)))
    return False


def certain_class(after: ClassMetrics, before: ClassMetrics | None, measure: Measure) -> bool:
    """Whether the difference of a metric of a class is more than noise.

    Recall is a share of the class's truths, precision one of its predictions; F1 is of both.
    """
    if before is None:
        return False
    recall, precision = (certain_share(of(after), of(before)) for of in (_recall, _precision))
    by_name = {"recall": recall, "precision": precision}
    return by_name.get(measure.name, recall or precision)


def certain_failures(after: RequestVolume, before: RequestVolume | None) -> bool:
    """Whether the difference of the share of failed requests is more than noise."""
    return before is not None and certain_share(_failures(after), _failures(before))


def certain_share(after: Share, before: Share) -> bool:
    """Whether the difference of two shares is more than noise."""
    return is_significant(difference_of_shares(after, before))


def _accuracy(bucket: ClassificationBucket) -> Share:
    values = bucket.matrix.values
    return Share(sum(row[index] for index, row in enumerate(values)), bucket.n)


def _errors(bucket: RegressionBucket) -> Errors:
    absolute, squared = bucket.mean_absolute_error, bucket.mean_squared_error
    return Errors.of_means(bucket.n, absolute or 0.0, squared or 0.0)


def _recall(metrics: ClassMetrics) -> Share:
    return Share(_hits(metrics), metrics.support)


def _precision(metrics: ClassMetrics) -> Share:
    hits = _hits(metrics)
    return Share(hits, round(hits / metrics.precision) if metrics.precision else 0)


def _hits(metrics: ClassMetrics) -> int:
    return round((metrics.recall or 0.0) * metrics.support)


def _failures(volume: RequestVolume) -> Share:
    return Share(volume.failed, volume.failed + volume.answered)
