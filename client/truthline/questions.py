"""Queries: each returns a result, or raises an error that states the reason."""

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any, Literal
from urllib.parse import quote

from truthline.comparison import Comparison, Side, side_parameters
from truthline.health import Health, health_of
from truthline.inferences import InferenceStats, Models
from truthline.metrics import ClassificationMetrics, RegressionMetrics, Subject
from truthline.requests import RequestHistory, Requests
from truthline.session import Session
from truthline.values import Label, Name, Tags, as_label, as_name, tag_filter
from truthline.wire import decode, to_duration, to_wire

Instant = datetime | str
"""A datetime with a time zone, or RFC 3339 like `2026-03-01T10:00:00Z`."""
Width = timedelta | str
"""A duration, or a string like `10s` or `1h30m`; `1d`, `2w`, `1mo`, `1y` follow the calendar."""


class Questions:
    """The query methods of a `Client`."""

    _session: Session

    def classification_metrics(
        self,
        model: Name,
        *,
        start: Instant,
        end: Instant,
        interval: Width | None = None,
        namespace: Name = "",
        pipeline: Name = "",
        deployment: Name | None = None,
        version: Name | None = None,
        tags: Tags | None = None,
        group_by: str | None = None,
        group_limit: int | None = None,
        average: Literal["macro", "weighted", "micro"] = "macro",
        align: Literal["start", "epoch"] = "start",
        time_zone: str = "UTC",
        as_of: Instant | None = None,
        confidence: float | None = None,
    ) -> ClassificationMetrics:
        """Accuracy, precision, recall, F1 and confusion matrices over time.

        Args:
            model: name of the classifier.
            start: start of the window, inclusive.
            end: end of the window, exclusive.
            interval: width of the buckets; default: one bucket.
            namespace: namespace of the model.
            pipeline: pipeline of the model.
            deployment: include only predictions of this deployment.
            version: include only predictions of this version.
            tags: include only predictions with these tags. A list of values are alternatives; None
                stands for predictions without the key.
            group_by: include the metrics of each value of this tag, the largest first.
            group_limit: so many values, at most 100; the others are one remainder. Default: 10.
            average: average over the classes.
            align: whether buckets begin at `start` or lie on a fixed grid.
            time_zone: time zone of days, weeks, months and years.
            as_of: return what was known at this moment.
            confidence: include confidence intervals, such as 0.95.

        Raises:
            TruthlineError: the query failed; the subclass states why.
        """
        subject = subject_of(model, namespace, pipeline, deployment, version, tags)
        asked = window_of(start, end, interval, align, time_zone, as_of)
        asked |= {"groupBy": group_by, "groupLimit": group_limit}
        answer = self._metrics(
            "classification", subject, average=average, confidence=confidence, **asked
        )
        return decode(
            ClassificationMetrics, answer, subject=subject, time_zone=time_zone, average=average
        )

    def regression_metrics(
        self,
        model: Name,
        *,
        start: Instant,
        end: Instant,
        interval: Width | None = None,
        namespace: Name = "",
        pipeline: Name = "",
        deployment: Name | None = None,
        version: Name | None = None,
        tags: Tags | None = None,
        group_by: str | None = None,
        group_limit: int | None = None,
        align: Literal["start", "epoch"] = "start",
        time_zone: str = "UTC",
        as_of: Instant | None = None,
        confidence: float | None = None,
    ) -> RegressionMetrics:
        """Errors, bias, R² and percentage error over time.

        Arguments and errors are those of `classification_metrics`.
        """
        subject = subject_of(model, namespace, pipeline, deployment, version, tags)
        asked = window_of(start, end, interval, align, time_zone, as_of)
        asked |= {"groupBy": group_by, "groupLimit": group_limit}
        answer = self._metrics("regression", subject, confidence=confidence, **asked)
        return decode(RegressionMetrics, answer, subject=subject, time_zone=time_zone)

    def compare(
        self,
        model: Name,
        *,
        a: Side,
        b: Side,
        start: Instant | None = None,
        end: Instant | None = None,
        namespace: Name = "",
        pipeline: Name = "",
        deployment: Name | None = None,
        version: Name | None = None,
        tags: Tags | None = None,
        average: Literal["macro", "weighted", "micro"] = "macro",
        as_of: Instant | None = None,
        confidence: float = 0.95,
        scores: bool = False,
        positive_class: Label | None = None,
    ) -> Comparison:
        """Whether the metrics of two windows, versions, deployments or models really differ.

        Args:
            model: name of the model, of both sides.
            a: what is different about side A, such as `{"version": "v2"}` or another window.
            b: what is different about side B.
            start: start of the window of both sides, inclusive.
            end: end of the window of both sides, exclusive.
            namespace: namespace of the model.
            pipeline: pipeline of the model.
            deployment: include only predictions of this deployment.
            version: include only predictions of this version.
            tags: include only predictions with these tags, as in `classification_metrics`.
            average: average over the classes of a classifier.
            as_of: return what was known at this moment.
            confidence: confidence of the intervals and of the verdicts.
            scores: compare ROC AUC of classifiers too, and Brier score and log loss of those with
                two classes, which takes longer: the server reads every score.
            positive_class: the class that scores are about; by default the positive one of both
                models.

        Raises:
            TruthlineError: the query failed; the subclass states why.
        """
        both = selection_of(subject_of(model, namespace, pipeline, deployment, version, tags))
        asked = {**period_of(start, end), "asOf": to_wire(as_of, "as_of")}
        asked |= {"average": average, "confidence": confidence}
        asked |= {"scores": scores or None, "positiveClass": label_of(positive_class)}
        sides = side_parameters("a", a) | side_parameters("b", b)
        return decode(
            Comparison, self._session.get("/api/v1/metrics/compare", {**both, **asked, **sides})
        )

    def inference_stats(
        self,
        *,
        start: Instant | None = None,
        end: Instant | None = None,
        models: Iterable[Name] | None = None,
        field: str | None = None,
        value: str | None = None,
        confidence: float | None = None,
        tags: Tags | None = None,
        group_by: str | None = None,
        group_limit: int | None = None,
    ) -> InferenceStats:
        """Inferences, errors, latency and confidence of a window and the preceding one.

        Args:
            start: start of the window, inclusive; default: 24 hours before its end.
            end: end of the window, exclusive; default: now.
            models: names of models; default: all.
            field: include only inferences that have, in this metadata field,
            value: this value.
            confidence: include the confidence interval of error rates, such as 0.95.
            tags: include only predictions with these tags, as in `classification_metrics`.
            group_by: include the totals of each value of this tag, the largest first.
            group_limit: as in `classification_metrics`.

        Raises:
            TruthlineError: the query failed; the subclass states why.
        """
        names = None if models is None else list(map(as_name, models))
        if names == []:
            raise ValueError("models is empty: omit it to query all models")
        asked = {
            **period_of(start, end),
            "model": names,
            "fieldName": field,
            "fieldValue": value,
            "confidence": confidence,
            "tag": tag_filter(tags) or None,
            "groupBy": group_by,
            "groupLimit": group_limit,
        }
        return decode(InferenceStats, self._all_pages("/api/v1/inference-stats", asked))

    def models(self, *, start: Instant | None = None, end: Instant | None = None) -> Models:
        """The models of the workspace, and their requests in a window.

        Arguments and errors are those of `inference_stats`.
        """
        return decode(Models, self._all_pages("/api/v1/models", period_of(start, end)))

    def requests(
        self,
        model: Name,
        *,
        start: Instant | None = None,
        end: Instant | None = None,
        predicted_label: Label | None = None,
        actual_label: Label | None = None,
        wrong: bool | None = None,
        min_error: float | None = None,
        unlabelled: bool | None = None,
        failed: bool | None = None,
        min_confidence: float | None = None,
        max_confidence: float | None = None,
        namespace: Name = "",
        pipeline: Name = "",
        deployment: Name | None = None,
        version: Name | None = None,
        tags: Tags | None = None,
        as_of: Instant | None = None,
        page_size: int = 1000,
    ) -> Requests:
        """The predictions of a model with their truths, newest first, fetched as you iterate.

        Args:
            model: name of the model.
            start: start of the window, inclusive; default: the first prediction.
            end: end of the window, exclusive; default: the last prediction.
            predicted_label: include only this output.
            actual_label: include only this truth.
            wrong: include only those whose classes differ, or only those where they are equal.
            min_error: include only those whose value differs from the truth by this or more.
            unlabelled: include only those without a truth, or only those with one.
            failed: include only failed requests, or only the others.
            min_confidence: least confidence.
            max_confidence: greatest confidence.
            namespace: namespace of the model.
            pipeline: pipeline of the model.
            deployment: include only predictions of this deployment.
            version: include only predictions of this version.
            tags: include only predictions with these tags, as in `classification_metrics`.
            as_of: return what was known at this moment.
            page_size: most requests to fetch at once, up to 1000.

        Raises:
            TruthlineError: the query failed, as you iterate; the subclass states why.
        """
        asked = {
            **selection_of(subject_of(model, namespace, pipeline, deployment, version, tags)),
            **period_of(start, end),
            "predictedLabel": label_of(predicted_label),
            "actualLabel": label_of(actual_label),
            "wrong": wrong,
            "minError": min_error,
            "unlabelled": unlabelled,
            "failed": failed,
            "minConfidence": min_confidence,
            "maxConfidence": max_confidence,
            "asOf": to_wire(as_of, "as_of"),
            "limit": page_size,
        }
        return Requests(lambda parameters: self._session.get("/api/v1/requests", parameters), asked)

    def request(
        self,
        request_id: Name,
        *,
        model: Name | None = None,
        namespace: Name | None = None,
        pipeline: Name | None = None,
        time: Instant | None = None,
    ) -> RequestHistory:
        """The history of one request: every prediction, and every truth with when it was stored.

        Args:
            request_id: id of the request.
            model: name of the model; default: any.
            namespace: namespace of the model; default: any.
            pipeline: pipeline of the model; default: any.
            time: when it was made; with `model`, finds a request whose key was deleted.

        Raises:
            NotFound: nothing is kept of such a request.
            TruthlineError: the query failed; the subclass states why.
        """
        names = {"model": model, "namespace": namespace, "pipeline": pipeline}
        asked = {name: None if value is None else as_name(value) for name, value in names.items()}
        path = f"/api/v1/requests/{quote(as_name(request_id), safe='')}"
        answer = self._session.get(path, {**asked, "time": to_wire(time, "time")})
        return decode(RequestHistory, answer)

    def health(
        self, deployment: Name, *, start: Instant | None = None, end: Instant | None = None
    ) -> Health:
        """Requests, failures, latency and values of a deployment, in tenths of a window.

        Args:
            deployment: name of the deployment, as in predictions.
            start: start of the window, inclusive; default: 30 days before its end.
            end: end of the window, exclusive; default: now.

        Raises:
            TruthlineError: the query failed; the subclass states why.
        """
        deployment = as_name(deployment)
        end = end or datetime.now(timezone.utc)  # the same end for both queries
        asked = {
            "startDateTime": to_wire(start, "start"),
            "endDateTime": to_wire(end, "end"),
        }
        # the server ignores the model in the path and uses the deployment's first one
        path = f"/model-monitoring/v1/deployment/{quote(deployment, safe='')}/metrics/-"
        return health_of(
            deployment,
            self._session.get(f"{path}/health", asked),
            self._session.get(f"{path}/operational", asked),
        )

    def _all_pages(self, path: str, asked: dict[str, Any]) -> Any:
        """Return the first page extended by the models of all other pages."""
        answer = page = self._session.get(path, asked)
        while isinstance(page, dict) and page.get("models") and page.get("nextCursor"):
            page = self._session.get(path, {**asked, "cursor": page["nextCursor"]})
            answer["models"] += page["models"]
        return answer

    def _metrics(self, kind: str, subject: Subject, **asked: Any) -> Any:
        return self._session.get(f"/api/v1/metrics/{kind}", {**selection_of(subject), **asked})


def subject_of(
    model: Name,
    namespace: Name,
    pipeline: Name,
    deployment: Name | None,
    version: Name | None,
    tags: Tags | None,
) -> Subject:
    """Names as they were stored: a version 3 is "3", as in `log_prediction`."""
    return Subject(
        as_name(model),
        as_name(namespace),
        as_name(pipeline),
        None if deployment is None else as_name(deployment),
        None if version is None else as_name(version),
        tuple(tag_filter(tags)),
    )


def label_of(label: Label | None) -> str | None:
    """A class as it is stored: equal numbers are the same class."""
    return None if label is None else as_label(label)


def selection_of(subject: Subject) -> dict[str, Any]:
    """The parameters that select a model or a part of it."""
    names = {name: text for name, text in vars(subject).items() if name != "tags"}
    return {**names, "tag": list(subject.tags) or None}


def period_of(start: Instant | None, end: Instant | None) -> dict[str, Any]:
    """The parameters of a window; None leaves an end to the server."""
    return {"startTime": to_wire(start, "start"), "endTime": to_wire(end, "end")}


def window_of(
    start: Instant,
    end: Instant,
    interval: Width | None,
    align: str,
    time_zone: str,
    as_of: Instant | None,
) -> dict[str, Any]:
    """The parameters of a window, of its buckets and of a moment."""
    return {
        **period_of(start, end),
        "interval": to_duration(interval),
        "align": align,
        "timeZone": time_zone,
        "asOf": to_wire(as_of, "as_of"),
    }
