"""The registry of measures: every number that Truthline reports, by what it is about.

Schemas of the API, pages, CSV columns and units of dashboards are generated from these tables.
tests/docs/test_measures.py compares the rest with them: dataclasses of `app/query/`, results of the
client, columns of functions by name, docs/metrics.md and oracles.
"""

from collections.abc import Iterable, Mapping

from app.query.measure import Better, Measure, Measures, Method, Surface, Unit, shown_in
from app.store.registry import Kind

COUNT, SHARE, SECONDS, MILLISECONDS = Unit.COUNT, Unit.SHARE, Unit.SECONDS, Unit.MILLISECONDS
OWN, OWN_SQUARED, NUMBER, OF_STEP = Unit.OWN, Unit.OWN_SQUARED, Unit.NUMBER, Unit.OF_STEP
WILSON, WILSON_OF_F1, STUDENT = Method.WILSON, Method.WILSON_OF_F1, Method.STUDENT
LOGARITHM, LOGIT, FISHER, NORMAL = Method.LOGARITHM, Method.LOGIT, Method.FISHER, Method.NORMAL
UP, DOWN, NEITHER = Better.UP, Better.DOWN, Better.NEITHER
# What some entries deliberately exclude.
SQL_ONLY = frozenset(Surface) - {Surface.SQL}
NOT_IN_SQL = frozenset({Surface.SQL})
NOT_IN_REST = frozenset({Surface.REST})
NOT_ON_DASHBOARDS = frozenset({Surface.DASHBOARDS})
NO_TRUTH = "without truths"
NO_SCORES = "without truths whose prediction has scores"


def _table(*measures: Measure) -> Measures:
    return {measure.name: measure for measure in measures}


TRUTHS = _table(
    Measure(
        "n",
        "Truths",
        COUNT,
        NEITHER,
        "predictions with a known truth; a corrected truth counts once",
    ),
    Measure(
        "predictions",
        "Predictions",
        COUNT,
        NEITHER,
        "successful requests; failed requests are excluded",
        left_out=frozenset({Surface.SQL, Surface.PAGES}),
    ),
    Measure(
        "labelled_share",
        "Labelled share",
        SHARE,
        UP,
        "n / predictions",
        "without predictions",
        left_out=frozenset({Surface.SQL, Surface.PAGES}),
    ),
)
"""Truths in a bucket, for all kinds of models."""

CLASSIFICATION = _table(
    Measure("accuracy", "Accuracy", SHARE, UP, "correct / all", NO_TRUTH, interval=WILSON),
    Measure(
        "precision",
        "Precision",
        SHARE,
        UP,
        "average over the classes of TP / (TP + FP)",
        NO_TRUTH,
        interval=LOGIT,
    ),
    Measure(
        "recall",
        "Recall",
        SHARE,
        UP,
        "average over the classes of TP / (TP + FN)",
        NO_TRUTH,
        interval=LOGIT,
    ),
    Measure(
        "specificity",
        "Specificity",
        SHARE,
        UP,
        "average over the classes of TN / (TN + FP)",
        "if there is only one class, and without truths",
        interval=LOGIT,
    ),
    Measure(
        "f1",
        "F1",
        SHARE,
        UP,
        "average over the classes of 2 TP / (2 TP + FP + FN)",
        NO_TRUTH,
        interval=LOGIT,
    ),
    Measure(
        "harmonic_f1",
        "F1 as Seldon defines it",
        SHARE,
        UP,
        "harmonic mean of the averages of precision and recall; 0 if both are 0",
        NO_TRUTH,
        left_out=SQL_ONLY,
        interval=LOGIT,
    ),
    Measure(
        "matthews_correlation",
        "Matthews correlation coefficient",
        NUMBER,
        UP,
        "(c n − Σ p t) / √((n² − Σ p²) (n² − Σ t²)), where c predictions are correct and each class"
        " is predicted p times and true t times; from −1 to 1, not averaged over the classes",
        "if all predictions or all truths are one class, and without truths",
        short="MCC",
        interval=FISHER,
    ),
)
"""Metrics of a classifier in a bucket."""

CLASS = _table(
    Measure(
        "precision",
        "Precision",
        SHARE,
        UP,
        "TP / (TP + FP)",
        "if the class was never predicted",
        interval=WILSON,
    ),
    Measure(
        "recall",
        "Recall",
        SHARE,
        UP,
        "TP / (TP + FN)",
        "if the class never occurred",
        interval=WILSON,
    ),
    Measure(
        "f1",
        "F1",
        SHARE,
        UP,
        "2 TP / (2 TP + FP + FN)",
        "if the class was never predicted and never occurred",
        interval=WILSON_OF_F1,
    ),
    Measure(
        "support",
        "Support",
        COUNT,
        NEITHER,
        "TP + FN: number of truths of this class",
        short="Truths",
    ),
)
"""Metrics of one class versus all others, in a bucket."""

SCORES = _table(
    Measure(
        "n",
        "Truths with scores",
        COUNT,
        NEITHER,
        "truths whose prediction has scores, or in a binary model a confidence; a corrected truth"
        " counts once",
        left_out=NOT_ON_DASHBOARDS,
    ),
    Measure(
        "n_positive",
        "Positive truths",
        COUNT,
        NEITHER,
        "those of them that are ranked and of the positive class; null for a model without a"
        " positive class",
        left_out=NOT_ON_DASHBOARDS,
    ),
    Measure(
        "n_unranked",
        "Truths not ranked",
        COUNT,
        NEITHER,
        "those of them without the score of a declared class of more than two, because it was not"
        " declared when they were stored; null for a model without a positive class",
    ),
    Measure(
        "log_loss",
        "Log loss",
        NUMBER,
        DOWN,
        "mean of −ln(score of the true class), of scores within [2⁻⁵², 1 − 2⁻⁵²]",
        NO_SCORES,
        interval=Method.LOGARITHM,
    ),
    Measure(
        "brier_score",
        "Brier score",
        NUMBER,
        DOWN,
        "binary: mean of (score of the positive class − y)², where y is 1 if it is true, else 0;"
        " otherwise mean of the sum over the classes of (score − y)²",
        NO_SCORES,
        interval=STUDENT,
    ),
    Measure(
        "roc_auc",
        "ROC AUC",
        SHARE,
        UP,
        "share of pairs of a positive and another truth in which the positive one has the higher"
        " score; equal scores count half",
        "without both, or if the model has no positive class",
        interval=Method.DELONG,
    ),
    Measure(
        "average_precision",
        "Average precision",
        SHARE,
        UP,
        "sum over the scores of (recall − recall at the next higher score) × precision, without"
        " interpolation",
        "without positive truths, or if the model has no positive class",
        interval=Method.BOYD,
    ),
    Measure(
        "calibration_error",
        "Expected calibration error",
        SHARE,
        DOWN,
        "mean over truths of |mean score − share of positive truths| in the tenth of the range that"
        " contains the score; if the model has no positive class, of the predicted class's score",
        NO_SCORES,
        short="ECE",
    ),
)
"""Metrics of the scores of a classifier in a bucket."""

REGRESSION = _table(
    Measure(
        "mean_absolute_error",
        "Mean absolute error",
        OWN,
        DOWN,
        "mean of |error|",
        NO_TRUTH,
        short="MAE",
        interval=STUDENT,
    ),
    Measure(
        "mean_squared_error",
        "Mean squared error",
        OWN_SQUARED,
        DOWN,
        "mean of error²",
        NO_TRUTH,
        short="MSE",
        left_out=frozenset({Surface.PAGES, Surface.DASHBOARDS}),  # its root is shown
        interval=LOGARITHM,
    ),
    Measure(
        "root_mean_squared_error",
        "Root mean squared error",
        OWN,
        DOWN,
        "√ mean squared error",
        NO_TRUTH,
        short="RMSE",
        interval=LOGARITHM,
    ),
    Measure(
        "mean_error",
        "Mean error",
        OWN,
        NEITHER,
        "mean of error: the bias, positive if predictions are too high",
        NO_TRUTH,
        short="Bias",
        interval=STUDENT,
    ),
    Measure(
        "r2",
        "R²",
        NUMBER,
        UP,
        "1 − Σ error² / Σ (actual − mean actual)²",
        "if all truths are equal, and without truths",
        interval=NORMAL,
    ),
    Measure(
        "mean_absolute_percentage_error",
        "Mean absolute percentage error",
        SHARE,
        DOWN,
        "mean of |error / actual| over truths other than 0",
        "without any",
        short="MAPE",
        interval=STUDENT,
    ),
)
"""Metrics of a regressor in a bucket."""

TOTALS = _table(
    Measure(
        "inferences", "Inferences", COUNT, NEITHER, "successful requests", column="n_inferences"
    ),
    Measure("errors", "Failures", COUNT, DOWN, "failed requests", column="n_errors"),
    Measure(
        "error_rate",
        "Failed requests",
        SHARE,
        DOWN,
        "errors / (inferences + errors)",
        "without requests",
        left_out=NOT_IN_SQL,
        interval=WILSON,
    ),
    Measure(
        "latency",
        "Mean latency per output",
        SECONDS,
        DOWN,
        "mean over outputs, each with the latency of its request",
        "if none was reported",
        wire="latencySeconds",
    ),
    Measure(
        "confidence",
        "Mean confidence",
        SHARE,
        NEITHER,
        "mean over outputs; an inference without detections counts as one output of confidence 0",
        "if none was reported",
    ),
)
"""Inference stats of all models together, in a window."""

MODEL = _table(
    TOTALS["inferences"],
    TOTALS["errors"],
    TOTALS["error_rate"],
    Measure(
        "latency",
        "Mean latency",
        SECONDS,
        DOWN,
        "mean over requests, failed ones included",
        "if none was reported",
        wire="latencySeconds",
    ),
    Measure(
        "quantiles",
        "Quantiles of latency",
        SECONDS,
        DOWN,
        "quantiles over requests, failed ones included",
        "if no latency was reported",
        wire="latencyQuantiles",
    ),
)
"""Inference stats of one model, in a window."""

MODEL_CLASS = _table(
    Measure(
        "inferences",
        "Inferences",
        COUNT,
        NEITHER,
        "successful requests with this class among their outputs",
        column="n_inferences",
    ),
    Measure(
        "outputs",
        "Outputs",
        COUNT,
        NEITHER,
        "class labels and detections of this class",
        column="n_outputs",
        left_out=frozenset({Surface.DASHBOARDS}),
    ),
    TOTALS["confidence"],
    Measure(
        "quantiles",
        "Quantiles of confidence",
        SHARE,
        NEITHER,
        "quantiles over outputs",
        "if no confidence was reported",
        wire="confidenceQuantiles",
    ),
    Measure(
        "latency",
        "Response time",
        SECONDS,
        DOWN,
        "mean over outputs, each with the latency of its request",
        "if none was reported",
        wire="latencySeconds",
    ),
)
"""Inference stats of one class of a model, in a window."""

KNOWN_MODEL = _table(TOTALS["inferences"], TOTALS["errors"])
"""Counts in the list of models."""

REQUESTS = _table(
    Measure(
        "answered",
        "Inferences",
        COUNT,
        NEITHER,
        "successful requests; several outputs of one request count once",
        short="Answered",
        wire="predictions",
        column="n",
        left_out=NOT_IN_REST,
    ),
    Measure(
        "failed",
        "Failures",
        COUNT,
        DOWN,
        "failed requests",
        short="Failed",
        wire="failures",
        column="n_failed",
        left_out=NOT_IN_REST,
    ),
    Measure(
        "mean_latency_ms",
        "Mean latency",
        MILLISECONDS,
        DOWN,
        "mean over the requests that reported one, failed ones included; in SQL in seconds",
        "if none was reported",
        wire="latencyMs",
        column="mean_latency",
        left_out=frozenset({Surface.REST, Surface.DASHBOARDS}),
    ),
)
"""Requests to a model in a bucket; H2O's dialect has its own names for these."""

STEPS = _table(
    Measure(
        "n",
        "Values",
        COUNT,
        NEITHER,
        "number of recorded values",
        left_out=frozenset({Surface.DASHBOARDS}),
    ),
    Measure("mean", "Mean", OF_STEP, NEITHER, "mean of these values", "without values"),
    Measure(
        "minimum",
        "Minimum",
        OF_STEP,
        NEITHER,
        "the least of these values",
        "without values",
        wire="min",
    ),
    Measure(
        "maximum",
        "Maximum",
        OF_STEP,
        NEITHER,
        "the greatest of these values",
        "without values",
        wire="max",
    ),
    Measure("last", "Last", OF_STEP, NEITHER, "the most recently recorded value", "without values"),
)
"""Values of a step metric, in a bucket or of an execution."""

OF_KIND: Mapping[Kind | None, Measures] = {
    Kind.CLASSIFICATION: CLASSIFICATION,
    Kind.REGRESSION: REGRESSION,
}
"""The metrics of each kind of model with metrics."""

LEADING: Mapping[Kind | None, tuple[str, ...]] = {
    Kind.CLASSIFICATION: ("accuracy", "f1", "precision", "recall"),
    # the change of a mean of |error| can be told from noise; that of a root of squares can't
    Kind.REGRESSION: ("mean_absolute_error", "root_mean_squared_error", "mean_error", "r2"),
}
"""The metrics that come first where models or versions are compared; the first is the headline."""


def leading(kind: Kind | None) -> list[Measure]:
    """The metrics that models of a kind are compared by, the headline first."""
    return [OF_KIND[kind][name] for name in LEADING.get(kind, ())]


def on_pages(kind: Kind | None) -> list[Measure]:
    """The metrics that pages show for a kind of model, the leading ones first."""
    return _once([*leading(kind), *shown_in(Surface.PAGES, OF_KIND.get(kind, {}))])


def _once(measures: Iterable[Measure]) -> list[Measure]:
    return list({measure.name: measure for measure in measures}.values())
