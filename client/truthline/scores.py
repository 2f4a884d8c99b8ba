"""Metrics of the scores of a classifier, and the curves behind them."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated

from truthline.extras import extra
from truthline.metrics import Interval, Metrics, table_of
from truthline.wire import ABSENT, End, Named, Start

if TYPE_CHECKING:  # packages that need not be there
    import pandas as pd


@dataclass(frozen=True)
class ScoreIntervals:
    """Confidence intervals of the metrics of scores; None if undefined."""

    log_loss: Interval | None = None
    brier_score: Interval | None = None
    roc_auc: Interval | None = None
    average_precision: Interval | None = None


@dataclass(frozen=True)
class ScoreBucket:
    """How good scores are in a part of the window, `[start, end)`.

    `n` counts truths whose prediction has scores, and in a binary model those with a confidence.
    `log_loss` is in nats; `roc_auc`, `average_precision` and `calibration_error` are fractions of
    1. Metrics are None without such truths, or if they were not requested; `n_positive`, `roc_auc`
    and `average_precision` also without a positive class. In a model with more than two classes
    these and `calibration_error` don't count `n_unranked` of the truths, which were stored while
    the class was not declared.
    """

    start: Start = ABSENT
    end: End = ABSENT
    n: int = ABSENT
    n_positive: int | None = None
    log_loss: float | None = None
    brier_score: float | None = None
    roc_auc: float | None = None
    average_precision: float | None = None
    calibration_error: float | None = None
    n_unranked: int | None = None
    intervals: ScoreIntervals | None = None


@dataclass(frozen=True)
class ThresholdPoint:
    """What happens if a score at or above `threshold` predicts the positive class.

    Rates are fractions of 1, None where their denominator is 0.
    """

    threshold: float = ABSENT
    true_positives: int = ABSENT
    false_positives: int = ABSENT
    false_negatives: int = ABSENT
    true_negatives: int = ABSENT
    precision: float | None = None
    recall: float | None = None
    false_positive_rate: float | None = None


@dataclass(frozen=True)
class CalibrationPart:
    """Scores within (`start`, `end`], the first part including 0: `n`, and how many came true."""

    start: Annotated[float, Named("from")] = ABSENT
    end: Annotated[float, Named("to")] = ABSENT
    n: int = ABSENT
    mean_score: float = ABSENT
    share: float = ABSENT


@dataclass(frozen=True)
class ScoreMetrics(Metrics):
    """Metrics of the scores of a classifier.

    `positive_class` is None if the model has more than two classes and declares none.
    """

    positive_class: str | None = None
    buckets: tuple[ScoreBucket, ...] = ABSENT

    def to_pandas(self) -> "pd.DataFrame":
        """Return a DataFrame with a row per bucket, indexed by start in the requested zone."""
        return table_of(self.buckets, self.time_zone)


@dataclass(frozen=True)
class ScoreCurves(Metrics):
    """ROC, precision-recall and reliability curves of a window.

    `points` has the highest threshold first, and `calibration` the lowest scores. Without a
    positive class there are no points, and calibration is of the predicted class. `n_unranked` is
    that of a `ScoreBucket`.
    """

    positive_class: str | None = None
    n_unranked: int | None = None
    points: tuple[ThresholdPoint, ...] = ABSENT
    calibration: tuple[CalibrationPart, ...] = ABSENT

    def to_pandas(self) -> "pd.DataFrame":
        """Return a DataFrame with a row per threshold, from the highest."""
        pandas = extra("pandas", "pandas")
        names = [field.name for field in fields(ThresholdPoint)]
        rows = [[getattr(point, name) for name in names] for point in self.points]
        return pandas.DataFrame(rows, columns=names).set_index("threshold")
