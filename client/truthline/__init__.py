"""Log predictions and truths of your models, and query their metrics.

Start with `Client`: `log_prediction` and `log_feedback` send in the background,
`classification_metrics` and similar methods query metrics.
"""

from truthline.auth import TokenProvider
from truthline.buffer import Counts
from truthline.client import Client
from truthline.comparison import (
    ComparedSide,
    Comparison,
    MetricComparison,
    MetricSide,
    Side,
)
from truthline.errors import (
    Forbidden,
    InvalidRequest,
    InvalidRows,
    NotFound,
    NotTruthline,
    Refused,
    RowProblem,
    TooLarge,
    TruthlineError,
    Unauthenticated,
    Unavailable,
    Unloggable,
    Unreachable,
)
from truthline.health import Health, HealthBucket, Spread
from truthline.inferences import (
    ClassStats,
    Compared,
    InferenceStats,
    KnownModel,
    Models,
    ModelStats,
    Quantiles,
    Totals,
)
from truthline.metrics import (
    Bucket,
    ClassificationBucket,
    ClassificationIntervals,
    ClassificationMetrics,
    ClassIntervals,
    ClassMetrics,
    ConfusionMatrix,
    Freshness,
    Interval,
    RegressionBucket,
    RegressionIntervals,
    RegressionMetrics,
    Snapped,
    Subject,
)
from truthline.outbox import Limits
from truthline.recorder import Stats
from truthline.requests import (
    LearnedTruth,
    PendingTruth,
    Request,
    RequestHistory,
    RequestPage,
    RequestPrediction,
    Requests,
)
from truthline.scores import (
    CalibrationPart,
    ScoreBucket,
    ScoreCurves,
    ScoreMetrics,
    ThresholdPoint,
)
from truthline.sender import Verdict
from truthline.session import Backoff
from truthline.steps import ListMetric, StepMetric
from truthline.version import __version__

__all__ = [
    "Backoff",
    "Bucket",
    "CalibrationPart",
    "ClassIntervals",
    "ClassMetrics",
    "ClassStats",
    "ClassificationBucket",
    "ClassificationIntervals",
    "ClassificationMetrics",
    "Client",
    "Compared",
    "ComparedSide",
    "Comparison",
    "ConfusionMatrix",
    "Counts",
    "Forbidden",
    "Freshness",
    "Health",
    "HealthBucket",
    "InferenceStats",
    "Interval",
    "InvalidRequest",
    "InvalidRows",
    "KnownModel",
    "LearnedTruth",
    "Limits",
    "ListMetric",
    "MetricComparison",
    "MetricSide",
    "ModelStats",
    "Models",
    "NotFound",
    "NotTruthline",
    "PendingTruth",
    "Quantiles",
    "Refused",
    "RegressionBucket",
    "RegressionIntervals",
    "RegressionMetrics",
    "Request",
    "RequestHistory",
    "RequestPage",
    "RequestPrediction",
    "Requests",
    "RowProblem",
    "ScoreBucket",
    "ScoreCurves",
    "ScoreMetrics",
    "Side",
    "Snapped",
    "Spread",
    "Stats",
    "StepMetric",
    "Subject",
    "ThresholdPoint",
    "TokenProvider",
    "TooLarge",
    "Totals",
    "TruthlineError",
    "Unauthenticated",
    "Unavailable",
    "Unloggable",
    "Unreachable",
    "Verdict",
    "__version__",
]
