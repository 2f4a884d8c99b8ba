"""Queries about late and missing truths."""

from typing import Literal

from truthline.coverage import CorrectedAccuracy, LabelDelay
from truthline.questions import Instant, Questions, Width, subject_of, window_of
from truthline.values import Name, Tags
from truthline.wire import decode


class CoverageQuestions(Questions):
    """The query methods of a `Client`, with those about late and missing truths."""

    def label_delay(
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
        align: Literal["start", "epoch"] = "start",
        time_zone: str = "UTC",
        as_of: Instant | None = None,
    ) -> LabelDelay:
        """How late truths are, and the share of predictions whose truth is still expected.

        The curve is over the whole window: choose one that is long enough for old predictions to
        have their truths. Arguments and errors are those of `classification_metrics`.
        """
        subject = subject_of(model, namespace, pipeline, deployment, version, tags)
        asked = window_of(start, end, interval, align, time_zone, as_of)
        answer = self._metrics("label-delay", subject, **asked)
        return decode(LabelDelay, answer, subject=subject, time_zone=time_zone)

    def corrected_accuracy(
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
        align: Literal["start", "epoch"] = "start",
        time_zone: str = "UTC",
        as_of: Instant | None = None,
        confidence: float = 0.95,
    ) -> CorrectedAccuracy:
        """Accuracy estimated for all predictions, if truths are not known of a fair sample.

        Arguments and errors are those of `classification_metrics`; intervals have this
        `confidence`.
        """
        subject = subject_of(model, namespace, pipeline, deployment, version, tags)
        asked = window_of(start, end, interval, align, time_zone, as_of)
        answer = self._metrics("corrected-accuracy", subject, confidence=confidence, **asked)
        return decode(CorrectedAccuracy, answer, subject=subject, time_zone=time_zone)
