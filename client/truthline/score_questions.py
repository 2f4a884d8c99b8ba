"""Queries about the scores of classifiers."""

from collections.abc import Iterable
from typing import Literal

from truthline.questions import (
    Instant,
    Questions,
    Width,
    label_of,
    period_of,
    selection_of,
    subject_of,
    window_of,
)
from truthline.scores import ScoreCurves, ScoreMetrics
from truthline.values import Label, Name, Tags
from truthline.wire import decode, to_wire

ScoreMetric = Literal[
    "log_loss", "brier_score", "roc_auc", "average_precision", "calibration_error"
]
_WIRE_NAMES: dict[ScoreMetric, str] = {
    "log_loss": "logLoss",
    "brier_score": "brierScore",
    "roc_auc": "rocAuc",
    "average_precision": "averagePrecision",
    "calibration_error": "calibrationError",
}


class ScoreQuestions(Questions):
    """The query methods of a `Client`, with those about scores."""

    def score_metrics(
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
        positive_class: Label | None = None,
        metrics: Iterable[ScoreMetric] | None = None,
        align: Literal["start", "epoch"] = "start",
        time_zone: str = "UTC",
        as_of: Instant | None = None,
        confidence: float | None = None,
    ) -> ScoreMetrics:
        """Log loss, Brier score, ROC AUC, average precision and calibration error over time.

        Scores are about `positive_class`, by default the one that the model declares, else the
        second of its declared classes, else the one that sorts last. In a model with more than two
        classes it is one that was declared (`declare_positive_class`). Only `metrics` are computed,
        by default all. Other arguments and errors are those of `classification_metrics`.
        """
        subject = subject_of(model, namespace, pipeline, deployment, version, tags)
        asked = window_of(start, end, interval, align, time_zone, as_of) | {
            "positiveClass": label_of(positive_class),
            "metric": None if metrics is None else [_WIRE_NAMES[metric] for metric in metrics],
        }
        answer = self._metrics("scores", subject, confidence=confidence, **asked)
        return decode(ScoreMetrics, answer, subject=subject, time_zone=time_zone)

    def score_curves(
        self,
        model: Name,
        *,
        start: Instant,
        end: Instant,
        namespace: Name = "",
        pipeline: Name = "",
        deployment: Name | None = None,
        version: Name | None = None,
        tags: Tags | None = None,
        positive_class: Label | None = None,
        thresholds: Iterable[float] | None = None,
        points: int = 200,
        parts: int = 10,
        as_of: Instant | None = None,
    ) -> ScoreCurves:
        """ROC, precision-recall and reliability curves of a window.

        There are points at `thresholds`, by default at every distinct score, or at about `points`
        of them. Calibration divides scores into equal `parts`. Other arguments and errors are those
        of `score_metrics`.
        """
        subject = subject_of(model, namespace, pipeline, deployment, version, tags)
        asked = {
            **period_of(start, end),
            "asOf": to_wire(as_of, "as_of"),
            "positiveClass": label_of(positive_class),
            "threshold": None if thresholds is None else list(thresholds),
            "points": points,
            "parts": parts,
        }
        answer = self._metrics("score-curves", subject, **asked)
        return decode(ScoreCurves, answer, subject=subject, time_zone="UTC")

    def declare_positive_class(
        self, model: Name, label: Label | None, *, namespace: Name = "", pipeline: Name = ""
    ) -> None:
        """Declare which class of a model its scores are about.

        None takes the declaration back. With two classes, answers about earlier predictions follow.
        With more, the score of the class is kept with the truths that are stored from now on.
        """
        subject = subject_of(model, namespace, pipeline, None, None, None)
        of = {name: value for name, value in selection_of(subject).items() if value is not None}
        body = {"positiveClass": label_of(label)}
        self._session.patiently(
            lambda: self._session.once("PUT", "/api/v1/models/positive-class", params=of, json=body)
        )
