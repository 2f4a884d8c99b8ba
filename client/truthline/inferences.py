"""How much models answered, in a window and in the one before it, and which models there are."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from truthline.extras import extra
from truthline.metrics import Freshness, Snapped
from truthline.wire import ABSENT, End, Named, Start

if TYPE_CHECKING:  # packages that need not be there
    import pandas as pd
    from plotly.graph_objects import Figure

# What a model's two periods are compared by.
MEASURES = ("inferences", "errors", "error_rate", "latency_seconds")


@dataclass(frozen=True)
class Compared:
    """A number of the window and of the one before, None where there is none.

    `change` is a ratio: 0.5 is half as much again. None without a number to grow from.
    """

    now: float | None = None
    previous: float | None = None
    change: float | None = None


@dataclass(frozen=True)
class Quantiles:
    """Exact quantiles of a window, interpolated between neighbours."""

    p50: float = ABSENT
    p90: float = ABSENT
    p95: float = ABSENT
    p99: float = ABSENT


@dataclass(frozen=True)
class Totals:
    """All models together: answered requests, failed ones, errors per request, means per output.

    Latencies are in seconds, confidences and error rates in fractions of 1.
    """

    inferences: Compared = ABSENT
    errors: Compared = ABSENT
    error_rate: Compared = ABSENT
    latency_seconds: Compared = ABSENT
    confidence: Compared = ABSENT


@dataclass(frozen=True)
class ClassStats:
    """One class of a model; `inferences` counts those with it among their `outputs`."""

    label: str = ABSENT
    inferences: Compared = ABSENT
    outputs: Compared = ABSENT
    confidence: Compared = ABSENT
    confidence_quantiles: Quantiles | None = None
    latency_seconds: Compared = ABSENT
    deployment_types: tuple[str, ...] = ABSENT
    server_versions: tuple[str, ...] = ABSENT


@dataclass(frozen=True)
class ModelStats:
    """One model, its latencies per inference.

    `classes` are the busiest, at most a thousand; `total_classes` counts all of them.
    """

    namespace: str = ABSENT
    pipeline: str = ABSENT
    model: str = ABSENT
    inferences: Compared = ABSENT
    errors: Compared = ABSENT
    error_rate: Compared = ABSENT
    latency_seconds: Compared = ABSENT
    latency_quantiles: Quantiles | None = None
    classes: tuple[ClassStats, ...] = ABSENT
    total_classes: int | None = None

    def __str__(self) -> str:
        return _full_name(self)


@dataclass(frozen=True)
class InferenceStats:
    """`[start, end)` beside `[previous_start, start)`; the busiest model first.

    Unless it is `exact`, retention has dropped rows that the question needs: `snapped` tells which
    edges were moved. An older server doesn't say: `exact` and `freshness` are then None.
    """

    start: Start = ABSENT
    end: End = ABSENT
    previous_start: Annotated[datetime, Named("previousStartTime")] = ABSENT
    totals: Totals = ABSENT
    models: tuple[ModelStats, ...] = ABSENT
    exact: bool | None = None
    snapped: tuple[Snapped, ...] = ABSENT
    freshness: Freshness | None = None

    def to_pandas(self) -> "pd.DataFrame":
        """A DataFrame with a row per model and measure: `now`, `previous`, `change`."""
        pandas = extra("pandas", "pandas")
        rows = [
            {**_name(one), "measure": measure, **vars(getattr(one, measure) or Compared())}
            for one in self.models
            for measure in MEASURES
        ]
        names = ["namespace", "pipeline", "model", "measure", "now", "previous", "change"]
        table = pandas.DataFrame(rows, columns=names).set_index(names[:4])
        return table.astype(float)

    def plot(self) -> "Figure":
        """A figure of each model's inferences, error rate and latency beside those before."""
        from truthline.plots.inferences import periods  # noqa: PLC0415 - needs plotly

        return periods(self)


@dataclass(frozen=True)
class KnownModel:
    """A model, and its answered (`inferences`) and failed requests (`errors`) in a window.

    `kind` is `classification`, `regression` or `detection`, None while nothing but truths came.
    """

    namespace: str = ABSENT
    pipeline: str = ABSENT
    model: str = ABSENT
    kind: str | None = None
    versions: tuple[str, ...] = ABSENT
    deployments: tuple[str, ...] = ABSENT
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    inferences: int = ABSENT
    errors: int = ABSENT

    def __str__(self) -> str:
        return _full_name(self)


@dataclass(frozen=True)
class Models:
    """The models of the workspace, by name; counts are of `[start, end)`.

    `exact`, `snapped` and `freshness` are those of `InferenceStats`.
    """

    start: Start = ABSENT
    end: End = ABSENT
    models: tuple[KnownModel, ...] = ABSENT
    exact: bool | None = None
    snapped: tuple[Snapped, ...] = ABSENT
    freshness: Freshness | None = None

    def to_pandas(self) -> "pd.DataFrame":
        """A DataFrame with a row per model."""
        pandas = extra("pandas", "pandas")
        columns = [field.name for field in fields(KnownModel)]
        return pandas.DataFrame([vars(one) for one in self.models], columns=columns).set_index(
            ["namespace", "pipeline", "model"]
        )

    def plot(self) -> "Figure":
        """A figure of each model's answered and failed requests."""
        from truthline.plots.inferences import requests  # noqa: PLC0415 - needs plotly

        return requests(self)


def _name(one: ModelStats) -> dict[str, str]:
    return {"namespace": one.namespace, "pipeline": one.pipeline, "model": one.model}


def _full_name(one: ModelStats | KnownModel) -> str:
    return " / ".join(part for part in (one.namespace, one.pipeline, one.model) if part)
