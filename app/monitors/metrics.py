"""What a monitor can watch: the metrics of the native API, by their names there."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from app.errors import InvalidInput
from app.query.measure import Better, Measure, Surface, Unit, shown_in
from app.query.measures import CLASS, CLASSIFICATION, MODEL, REGRESSION, SCORES
from app.store.registry import Kind


class Family(Enum):
    """Metrics that are read together, by one statement; the value names its function in SQL."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    LOAD = "load"
    LATENCY = "latencies"
    SCORES = "scores"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric that can be watched.

    `column` is its name in `sql/views/88_monitors.sql`, `unit` that of its values, `better` the
    direction that is an improvement. It may count nothing, which is a value too, if `counts` is
    set. `has_interval` says whether it has a confidence interval.
    """

    name: str
    column: str
    title: str
    unit: Unit
    family: Family
    better: Better = Better.NEITHER
    has_interval: bool = True
    counts: bool = False
    kind: Kind | None = None

    @property
    def of_truths(self) -> bool:
        """Whether truths that are learned later change it; for drift see the definition."""
        return self.family in OF_TRUTHS or self.name == SHARE

    @property
    def of_predictions(self) -> bool:
        """Whether predictions that arrive later change it."""
        return self.family in (Family.LOAD, Family.LATENCY)


OF_TRUTHS = frozenset({Family.CLASSIFICATION, Family.REGRESSION, Family.SCORES})
SHARE = "labelledShare"
DRIFT = "drift"
QUANTILE = "latencyQuantile"
LABELLED = Metric(SHARE, "labelled_share", "Labelled share", Unit.SHARE, Family.LOAD, Better.UP)
OF_CLASS = frozenset({"precision", "recall", "f1"})


def _of(measure: Measure, family: Family, kind: Kind | None, *, counts: bool = False) -> Metric:
    return Metric(
        measure.wire_name,
        measure.name,
        measure.title,
        measure.unit,
        family,
        measure.better,
        has_interval=measure.interval is not None,
        counts=counts,
        kind=kind,
    )


def _all() -> Mapping[str, Metric]:
    classes = Kind.CLASSIFICATION
    found = [
        *(_of(m, Family.CLASSIFICATION, classes) for m in shown_in(Surface.REST, CLASSIFICATION)),
        *(_of(m, Family.REGRESSION, Kind.REGRESSION) for m in shown_in(Surface.REST, REGRESSION)),
        *(
            _of(MODEL[name], Family.LOAD, None, counts=name in ("inferences", "errors"))
            for name in ("inferences", "errors", "error_rate", "latency")
        ),
        *(
            _of(SCORES[name], Family.SCORES, classes)
            for name in (
                *("roc_auc", "average_precision", "log_loss", "brier_score"),
                "calibration_error",
            )
        ),
        LABELLED,
        Metric(
            DRIFT,
            "drift",
            "Drift",
            Unit.NUMBER,
            Family.DRIFT,
            Better.DOWN,
            has_interval=False,
        ),
        Metric(
            QUANTILE,
            "quantile",
            "Quantile of latency",
            Unit.SECONDS,
            Family.LATENCY,
            Better.DOWN,
            has_interval=False,
        ),
    ]
    return {metric.name: metric for metric in found}


METRICS = _all()
assert CLASS.keys() >= OF_CLASS  # noqa: S101 - the registry has these per class


def metric_named(name: str) -> Metric:
    """The metric of this name.

    Raises:
        InvalidInput: there is none that can be watched.
    """
    if name not in METRICS:
        raise InvalidInput(f"metric must be one of {', '.join(METRICS)}, not {name}")
    return METRICS[name]
