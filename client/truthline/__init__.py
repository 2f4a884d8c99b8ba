"""Log predictions and truths of your models, and query their metrics.

Start with `Client`: `log_prediction` and `log_feedback` send in the background,
`classification_metrics` and similar methods query metrics.
"""

from truthline.auth import TokenProvider
from truthline.buffer import Counts
from truthline.client import Client
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
    TotalsGroup,
    TotalsRemainder,
)
from truthline.metrics import (
    Bucket,
    ClassificationBucket,
    ClassificationGroup,
    ClassificationMetrics,
    ClassificationRemainder,
    ClassMetrics,
    ConfusionMatrix,
    Freshness,
    Group,
    RegressionBucket,
    RegressionGroup,
    RegressionMetrics,
    RegressionRemainder,
    Remainder,
    Snapped,
    Subject,
)
from truthline.outbox import Limits
from truthline.recorder import Stats
from truthline.sender import Verdict
from truthline.session import Backoff
from truthline.steps import ListMetric, StepMetric
from truthline.version import __version__

__all__ = [
    "Backoff",
    "Bucket",
    "ClassMetrics",
    "ClassStats",
    "ClassificationBucket",
    "ClassificationGroup",
    "ClassificationMetrics",
    "ClassificationRemainder",
    "Client",
    "Compared",
    "ConfusionMatrix",
    "Counts",
    "Forbidden",
    "Freshness",
    "Group",
    "Health",
    "HealthBucket",
    "InferenceStats",
    "InvalidRequest",
    "InvalidRows",
    "KnownModel",
    "Limits",
    "ListMetric",
    "ModelStats",
    "Models",
    "NotFound",
    "NotTruthline",
    "Quantiles",
    "Refused",
    "RegressionBucket",
    "RegressionGroup",
    "RegressionMetrics",
    "RegressionRemainder",
    "Remainder",
    "RowProblem",
    "Snapped",
    "Spread",
    "Stats",
    "StepMetric",
    "Subject",
    "TokenProvider",
    "TooLarge",
    "Totals",
    "TotalsGroup",
    "TotalsRemainder",
    "TruthlineError",
    "Unauthenticated",
    "Unavailable",
    "Unloggable",
    "Unreachable",
    "Verdict",
    "__version__",
]
