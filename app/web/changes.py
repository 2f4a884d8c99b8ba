"""Whether a difference between two answers is more than noise, where the page has the counts.

Cells, classes and requests are shares, of which a page has hundreds with their counts: they are
judged by `app/query/noise.py`, whose intervals are those of comparisons (`app/query/compare.py`),
which judge the metrics of whole windows. Nothing is known of how latencies and confidences vary, so
their differences are not judged.
"""

from app.query.classification import ClassMetrics
from app.query.health import RequestVolume
from app.query.measure import Measure
from app.query.noise import Share, difference_of_shares, is_significant


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


def _recall(metrics: ClassMetrics) -> Share:
    return Share(_hits(metrics), metrics.support)


def _precision(metrics: ClassMetrics) -> Share:
    hits = _hits(metrics)
    return Share(hits, round(hits / metrics.precision) if metrics.precision else 0)


def _hits(metrics: ClassMetrics) -> int:
    return round((metrics.recall or 0.0) * metrics.support)


def _failures(volume: RequestVolume) -> Share:
    return Share(volume.failed, volume.failed + volume.answered)
