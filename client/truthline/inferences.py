"""Inferences of models in a window and in the preceding one, and the list of models."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from truthline.extras import extra
from truthline.metrics import Freshness, Interval, Snapped
from truthline.wire import ABSENT, End, Named, Start

if TYPE_CHECKING:  # packages that need not be there
    import pandas as pd
    from plotly.graph_objects import Figure

# Measures by which the two periods of a model are compared.
MEASURES = ("inferences", "errors", "error_rate", "latency_seconds")


@dataclass(frozen=True)
class Compared:
    """A number of the window and of the preceding one, None if undefined.

    `change` is a ratio: 0.5 means an increase by half. None if `previous` is None or 0. `interval`
    is the confidence interval of `now`, if a confidence was given and the number is a share.
    """

    now: float | None = None
    previous: float | None = None
    change: float | None = None
    interval: Interval | None = None


@dataclass(frozen=True)
class Quantiles:
    """Exact quantiles of a window, interpolated linearly."""

    p50: float = ABSENT
    p90: float = ABSENT
    p95: float = ABSENT
    p99: float = ABSENT


@dataclass(frozen=True)
class Totals:
    """All models together: successful and failed requests, errors per request, means per output.

    Latencies are in seconds, confidences and error rates in fractions of 1.
    """

    inferences: Compared = ABSENT
    errors: Compared = ABSENT
    error_rate: Compared = ABSENT
    latency_seconds: Compared = ABSENT
    confidence: Compared = ABSENT


@dataclass(frozen=True)
class ClassStats:
    """One class of a model; `inferences` counts those that have it among their `outputs`."""

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
    """One model, with latencies per inference.

    `classes` has the busiest classes, at most a thousand; `total_classes` is the number of all.
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
class TotalsGroup(Totals):
    """Inferences with one value of a tag, None for those without the tag."""

    value: str | None = None


@dataclass(frozen=True)
class TotalsRemainder(Totals):
    """Inferences with the other values of a tag; `values` is how many they are."""

    values: int = ABSENT


@dataclass(frozen=True)
class InferenceStats:
    """`[start, end)` compared with `[previous_start, start)`; the busiest model first.

    If `exact` is False, retention has dropped rows that the query needs, and `snapped` lists the
    edges that were moved. With an older server `exact` and `freshness` are None. With `group_by`,
    `groups` has the largest values of the tag, and `remainder` the others, None if there are none.
    """

    start: Start = ABSENT
    end: End = ABSENT
    previous_start: Annotated[datetime, Named("previousStartTime")] = ABSENT
    totals: Totals = ABSENT
    models: tuple[ModelStats, ...] = ABSENT
    exact: bool | None = None
    snapped: tuple[Snapped, ...] = ABSENT
    freshness: Freshness | None = None
    groups: tuple[TotalsGroup, ...] | None = None
    remainder: TotalsRemainder | None = None

    def to_pandas(self) -> "pd.DataFrame":
        """Return a DataFrame with a row per model and measure: `now`, `previous`, `change`."""
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
        """Return a figure of inferences, error rate and latency per model, in both windows."""
        from truthline.plots.inferences import periods  # noqa: PLC0415 - needs plotly

        return periods(self)


@dataclass(frozen=True)
class KnownModel:
    """A model, and its successful (`inferences`) and failed requests (`errors`) in a window.

    `kind` is `classification`, `regression` or `detection`, None until its first prediction.
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
    """The models of the workspace, by name, with counts of `[start, end)`.

    `exact`, `snapped` and `freshness` are those of `InferenceStats`.
    """

    start: Start = ABSENT
    end: End = ABSENT
    models: tuple[KnownModel, ...] = ABSENT
    exact: bool | None = None
    snapped: tuple[Snapped, ...] = ABSENT
    freshness: Freshness | None = None

    def to_pandas(self) -> "pd.DataFrame":
        """Return a DataFrame with a row per model."""
        pandas = extra("pandas", "pandas")
        columns = [field.name for field in fields(KnownModel)]
        return pandas.DataFrame([vars(one) for one in self.models], columns=columns).set_index(
            ["namespace", "pipeline", "model"]
        )

    def plot(self) -> "Figure":
        """Return a figure of successful and failed requests per model."""
        from truthline.plots.inferences import requests  # noqa: PLC0415 - needs plotly

        return requests(self)


def _name(one: ModelStats) -> dict[str, str]:
    return {"namespace": one.namespace, "pipeline": one.pipeline, "model": one.model}


def _full_name(one: ModelStats | KnownModel) -> str:
    return " / ".join(part for part in (one.namespace, one.pipeline, one.model) if part)
