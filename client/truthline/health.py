"""How a deployment fares: how much it answers and fails, how fast, and which values it gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from truthline.errors import NotTruthline
from truthline.extras import extra
from truthline.metrics import Snapped
from truthline.wire import decode, to_time

if TYPE_CHECKING:  # packages that need not be there
    import pandas as pd
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class HealthBucket:
    """A tenth of the window, or what the window cuts of it: `[start, end)`.

    `predictions` were answered, `failures` weren't; `latency_ms` is the mean of the requests that
    reported one, None if none did.
    """

    start: datetime
    end: datetime
    predictions: int
    failures: int
    latency_ms: float | None


@dataclass(frozen=True)
class Spread:
    """Exact minimum, quartiles and maximum of the values that were predicted in `[start, end)`."""

    start: datetime
    end: datetime
    minimum: float
    quartile1: float
    median: float
    quartile3: float
    maximum: float


@dataclass(frozen=True)
class Health:
    """Of a deployment's first model. `spreads` is None unless it predicts numbers.

    Unless it is `exact`, retention has dropped rows that the question needs: `snapped` tells which
    edges were moved. An older server doesn't say: `exact` is then None.
    """

    deployment: str
    total_predictions: int
    mean_latency_ms: float | None
    buckets: tuple[HealthBucket, ...]
    spreads: tuple[Spread, ...] | None
    exact: bool | None = None
    snapped: tuple[Snapped, ...] = ()

    def to_pandas(self) -> "pd.DataFrame":
        """A DataFrame with a row per bucket, by its start; spreads are among its columns."""
        pandas = extra("pandas", "pandas")
        spreads = {one.start: vars(one) for one in self.spreads or ()}
        rows = [{**spreads.get(one.start, {}), **vars(one)} for one in self.buckets]
        return pandas.DataFrame(rows).set_index("start").astype({"latency_ms": float})

    def plot(self) -> "Figure":
        """A figure of requests, failures, latency, and the spread of values, over time."""
        from truthline.plots.health import over_time  # noqa: PLC0415 - needs plotly

        return over_time(self)


def health_of(deployment: str, health: Any, operational: Any) -> Health:
    """What two answers of H2O MLOps' API say, where all numbers of a graph are texts.

    Raises:
        NotTruthline: they aren't such answers.
    """
    try:
        latencies, failures = (
            {point["xAxis"]: float(point["yAxis"]) for point in operational[graph]["point"]}
            for graph in ("scoringLatency", "failedPrediction")
        )
        buckets = tuple(
            HealthBucket(
                *_range(one),
                predictions=int(one["y"]),
                failures=int(failures.get(one["xMin"], 0)),
                latency_ms=latencies.get(one["xMin"]),
            )
            for one in health["predictions"]["bin"]
        )
        values = health["predictionValues"]
        spreads = None if values is None else tuple(_spread(box) for box in values["box"])
        return Health(
            deployment,
            health["totalPredictions"],
            health["scoringLatency"],
            buckets,
            spreads,
            health.get("exact"),
            tuple(decode(Snapped, one) for one in health.get("snapped", ())),
        )
    except (TypeError, KeyError, ValueError) as error:
        raise NotTruthline(f"the answer is no health of a deployment: {error!r}") from error


def _range(one: Mapping[str, str]) -> tuple[datetime, datetime]:
    return to_time(one["xMin"]), to_time(one["xMax"])


def _spread(box: Mapping[str, str]) -> Spread:
    return Spread(*_range(box), *(float(box[f"y{place}"]) for place in range(5)))
