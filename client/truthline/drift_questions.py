"""Queries about what has changed: drift, and what a change of a metric comes from."""

from collections.abc import Iterable
from typing import Any, Literal

from truthline.comparison import Side, side_parameters
from truthline.drift import Changes, Drift
from truthline.questions import Instant, Questions, Width, period_of, selection_of, subject_of
from truthline.values import Name, Tags
from truthline.wire import camel, decode, to_duration, to_wire

Quantity = Literal["predicted_label", "actual_label", "confidence", "value", "latency"]
Statistic = Literal[
    "psi",
    "jensen_shannon",
    "hellinger",
    "total_variation",
    "chi_squared",
    "kolmogorov_smirnov",
    "wasserstein",
]
MeanMetric = Literal[
    "accuracy",
    "mean_absolute_error",
    "mean_squared_error",
    "mean_error",
    "error_rate",
    "mean_confidence",
    "mean_value",
    "mean_latency",
]


class DriftQuestions(Questions):
    """The query methods of a `Client`, with those about drift."""

    def drift(
        self,
        model: Name,
        of: Quantity,
        *,
        a: Side,
        b: Side,
        start: Instant | None = None,
        end: Instant | None = None,
        interval: Width | None = None,
        statistics: Iterable[Statistic] | None = None,
        namespace: Name = "",
        pipeline: Name = "",
        deployment: Name | None = None,
        version: Name | None = None,
        tags: Tags | None = None,
        align: Literal["start", "epoch"] = "start",
        time_zone: str = "UTC",
        as_of: Instant | None = None,
    ) -> Drift:
        """How far a label, confidence, value or latency has drifted from a reference, side A.

        Args:
            model: name of the model, of both sides.
            of: what may have drifted.
            a: what is different about side A, the reference, such as an earlier window.
            b: what is different about side B.
            start: start of the window of both sides, inclusive.
            end: end of the window of both sides, exclusive.
            interval: width of the buckets of side B; default: one bucket.
            statistics: which ones; default: all. `wasserstein` may take seconds for millions of
                numbers.
            namespace: namespace of the model.
            pipeline: pipeline of the model.
            deployment: include only predictions of this deployment.
            version: include only predictions of this version.
            tags: include only predictions with these tags, as in `classification_metrics`.
            align: whether buckets begin at the start of side B or lie on a fixed grid.
            time_zone: time zone of days, weeks, months and years.
            as_of: return what was known at this moment.

        Raises:
            TruthlineError: the query failed; the subclass states why.
        """
        both = selection_of(subject_of(model, namespace, pipeline, deployment, version, tags))
        asked = _sides(start, end, as_of, a, b)
        asked |= {"of": camel(of), "align": align, "timeZone": time_zone}
        if interval is not None:
            asked["interval"] = to_duration(interval)
        asked["statistic"] = None if statistics is None else [camel(one) for one in statistics]
        return decode(Drift, self._session.get("/api/v1/metrics/drift", {**both, **asked}))

    def changes(
        self,
        model: Name,
        *,
        a: Side,
        b: Side,
        metric: MeanMetric | None = None,
        start: Instant | None = None,
        end: Instant | None = None,
        namespace: Name = "",
        pipeline: Name = "",
        deployment: Name | None = None,
        version: Name | None = None,
        tags: Tags | None = None,
        as_of: Instant | None = None,
    ) -> Changes:
        """Which tags, classes, versions and deployments a change of a metric comes from.

        Args:
            model: name of the model, of both sides.
            a: what is different about side A, such as an earlier window.
            b: what is different about side B.
            metric: default: `mean_absolute_error` of a regressor, and `accuracy` of others.
            start: start of the window of both sides, inclusive.
            end: end of the window of both sides, exclusive.
            namespace: namespace of the model.
            pipeline: pipeline of the model.
            deployment: include only predictions of this deployment.
            version: include only predictions of this version.
            tags: include only predictions with these tags, as in `classification_metrics`.
            as_of: return what was known at this moment.

        Raises:
            TruthlineError: the query failed; the subclass states why.
        """
        both = selection_of(subject_of(model, namespace, pipeline, deployment, version, tags))
        asked = _sides(start, end, as_of, a, b)
        asked |= {"metric": None if metric is None else camel(metric)}
        return decode(Changes, self._session.get("/api/v1/metrics/changes", {**both, **asked}))


def _sides(
    start: Instant | None, end: Instant | None, as_of: Instant | None, a: Side, b: Side
) -> dict[str, Any]:
    asked = {**period_of(start, end), "asOf": to_wire(as_of, "as_of")}
    return {**asked, **side_parameters("a", a), **side_parameters("b", b)}
