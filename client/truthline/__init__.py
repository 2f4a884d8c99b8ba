"""Log what your models predict and what turns out true, and ask how good they are.

`Client` is the place to begin: `log_prediction` and `log_feedback` send in the background,
`classification_metrics` and its like ask.
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
    Unreachable,
)
from truthline.metrics import (
    Bucket,
    ClassificationBucket,
    ClassificationMetrics,
    ClassMetrics,
    ConfusionMatrix,
    Freshness,
    RegressionBucket,
    RegressionMetrics,
    Snapped,
    Subject,
)
from truthline.outbox import Limits
from truthline.recorder import Stats
from truthline.session import Backoff
from truthline.version import __version__

__all__ = [
    "Backoff",
    "Bucket",
    "ClassMetrics",
    "ClassificationBucket",
    "ClassificationMetrics",
    "Client",
    "ConfusionMatrix",
    "Counts",
    "Forbidden",
    "Freshness",
    "InvalidRequest",
    "InvalidRows",
    "Limits",
    "NotFound",
    "NotTruthline",
    "Refused",
    "RegressionBucket",
    "RegressionMetrics",
    "RowProblem",
    "Snapped",
    "Stats",
    "Subject",
    "TokenProvider",
    "TooLarge",
    "TruthlineError",
    "Unauthenticated",
    "Unavailable",
    "Unreachable",
    "__version__",
]
