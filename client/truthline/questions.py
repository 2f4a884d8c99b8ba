"""Questions to the server: answered, or refused with an error that says why."""

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any, Literal
from urllib.parse import quote

from truthline.health import Health, health_of
from truthline.inferences import InferenceStats, Models
from truthline.metrics import ClassificationMetrics, RegressionMetrics, Subject
from truthline.session import Session
from truthline.wire import decode, to_duration, to_wire

Instant = datetime | str
"""A datetime with a time zone, or RFC 3339 like `2026-03-01T10:00:00Z`."""
Width = timedelta | str
"""A duration, or text like `10s` or `1h30m`; `1d`, `2w`, `1mo` and `1y` follow the calendar."""


class Questions:
    """The asking half of a `Client`."""

    _session: Session

    def classification_metrics(
        self,
        model: str,
        *,
        start: Instant,
        end: Instant,
        interval: Width | None = None,
        namespace: str = "",
        pipeline: str = "",
        deployment: str | None = None,
        version: str | None = None,
        average: Literal["macro", "weighted", "micro"] = "macro",
        align: Literal["start", "epoch"] = "start",
        time_zone: str = "UTC",
        as_of: Instant | None = None,
    ) -> ClassificationMetrics:
        """Accuracy, precision, recall, F1 and confusion matrices over time.

        Args:
            model: which classifier; with `namespace` and `pipeline` its full name.
            start: first instant of the window.
            end: first instant after it.
            interval: width of the buckets; without, the window is the only one.
            namespace: the part of the model's name before the pipeline.
            pipeline: the part of the model's name before the model.
            deployment: only this one's predictions.
            version: only this one's predictions.
            average: how the classes' own metrics make one.
            align: whether buckets begin at `start` or lie on a grid that never moves.
            time_zone: whose days, weeks, months and years.
            as_of: as it was known at this moment.

        Raises:
            TruthlineError: there is no answer, and which error says why.
        """
        subject = Subject(model, namespace, pipeline, deployment, version)
        asked = _window(start, end, interval, align, time_zone, as_of)
        answer = self._metrics("classification", subject, average=average, **asked)
        return decode(
            ClassificationMetrics, answer, subject=subject, time_zone=time_zone, average=average
        )

    def regression_metrics(
        self,
        model: str,
        *,
        start: Instant,
        end: Instant,
        interval: Width | None = None,
        namespace: str = "",
        pipeline: str = "",
        deployment: str | None = None,
        version: str | None = None,
        align: Literal["start", "epoch"] = "start",
        time_zone: str = "UTC",
        as_of: Instant | None = None,
    ) -> RegressionMetrics:
        """Errors, bias, R² and percentage error over time.

        Arguments and errors are those of `classification_metrics`.
        """
        subject = Subject(model, namespace, pipeline, deployment, version)
        asked = _window(start, end, interval, align, time_zone, as_of)
        answer = self._metrics("regression", subject, **asked)
        return decode(RegressionMetrics, answer, subject=subject, time_zone=time_zone)

    def inference_stats(
        self,
        *,
        start: Instant | None = None,
        end: Instant | None = None,
        models: Iterable[str] | None = None,
        field: str | None = None,
        value: str | None = None,
    ) -> InferenceStats:
        """Inferences, errors, latency and confidence of a window beside the one before it.

        Args:
            start: first instant of the window; 24 hours before its end, where it isn't given.
            end: first instant after it; now, where it isn't given.
            models: only these; all of them, where they aren't given.
            field: only inferences whose metadata have in this field
            value: this value.

        Raises:
            TruthlineError: there is no answer, and which error says why.
        """
        names = None if models is None else list(models)
        if names == []:
            raise ValueError("models is empty: leave it out to ask about all")
        asked = {
            **_period(start, end),
            "model": names,
            "fieldName": field,
            "fieldValue": value,
        }
        return decode(InferenceStats, self._all_pages("/api/v1/inference-stats", asked))

    def models(self, *, start: Instant | None = None, end: Instant | None = None) -> Models:
        """The models of the workspace, and how often each answered in a window.

        Arguments and errors are those of `inference_stats`.
        """
        return decode(Models, self._all_pages("/api/v1/models", _period(start, end)))

    def health(
        self, deployment: str, *, start: Instant | None = None, end: Instant | None = None
    ) -> Health:
        """Requests, failures, latency and values of a deployment, in tenths of a window.

        Args:
            deployment: its name, as predictions have it.
            start: first instant of the window; 30 days before its end, where it isn't given.
            end: first instant after it; now, where it isn't given.

        Raises:
            TruthlineError: there is no answer, and which error says why.
        """
        end = end or datetime.now(timezone.utc)  # one end for both questions
        asked = {
            "startDateTime": to_wire(start, "start"),
            "endDateTime": to_wire(end, "end"),
        }
        # the model is the deployment's first one, whatever stands in its place
        path = f"/model-monitoring/v1/deployment/{quote(deployment, safe='')}/metrics/-"
        return health_of(
            deployment,
            self._session.get(f"{path}/health", asked),
            self._session.get(f"{path}/operational", asked),
        )

    def _all_pages(self, path: str, asked: dict[str, Any]) -> Any:
        """The answer with the models of all its pages, which are of one window."""
        answer = page = self._session.get(path, asked)
        while isinstance(page, dict) and page.get("models") and page.get("nextCursor"):
            page = self._session.get(path, {**asked, "cursor": page["nextCursor"]})
            answer["models"] += page["models"]
        return answer

    def _metrics(self, kind: str, subject: Subject, **asked: Any) -> Any:
        parameters = {**vars(subject), **asked}
        return self._session.get(f"/api/v1/metrics/{kind}", parameters)


def _period(start: Instant | None, end: Instant | None) -> dict[str, Any]:
    return {"startTime": to_wire(start, "start"), "endTime": to_wire(end, "end")}


def _window(
    start: Instant,
    end: Instant,
    interval: Width | None,
    align: str,
    time_zone: str,
    as_of: Instant | None,
) -> dict[str, Any]:
    return {
        **_period(start, end),
        "interval": to_duration(interval),
        "align": align,
        "timeZone": time_zone,
        "asOf": to_wire(as_of, "as_of"),
    }
