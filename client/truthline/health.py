"""Health of a deployment: successful and failed requests, latency, and predicted values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from truthline.errors import NotTruthline
from truthline.extras import extra
from truthline.metrics import Snapped
from truthline.wire import ABSENT, decode, has_any, to_time

if TYPE_CHECKING:  # packages that need not be there
    import pandas as pd
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class HealthBucket:
    """A tenth of the window, clipped to it: `[start, end)`.

    `predictions` are successful requests, `failures` failed ones. `latency_ms` is the mean over
    requests that reported a latency, None if none did.
    """

    start: datetime = ABSENT
    end: datetime = ABSENT
    predictions: int = ABSENT
    failures: int = ABSENT
    latency_ms: float | None = None


@dataclass(frozen=True)
class Spread:
    """Exact minimum, quartiles and maximum of the values predicted in `[start, end)`."""

    start: datetime = ABSENT
    end: datetime = ABSENT
    minimum: float = ABSENT
    quartile1: float = ABSENT
    median: float = ABSENT
    quartile3: float = ABSENT
    maximum: float = ABSENT


@dataclass(frozen=True)
class Health:
    """Health of a deployment's first model. `spreads` is None unless it predicts numbers.

    If `exact` is False, retention has dropped rows that the query needs, and `snapped` lists the
    edges that were moved. With an older server `exact` is None.
    """

    deployment: str
    total_predictions: int = ABSENT
    mean_latency_ms: float | None = None
    buckets: tuple[HealthBucket, ...] = ABSENT
    spreads: tuple[Spread, ...] | None = None
    exact: bool | None = None
    snapped: tuple[Snapped, ...] = ABSENT

    def to_pandas(self) -> "pd.DataFrame":
        """Return a DataFrame with a row per bucket, indexed by its start, including spreads."""
        pandas = extra("pandas", "pandas")
        spreads = {one.start: vars(one) for one in self.spreads or ()}
        rows = [{**spreads.get(one.start, {}), **vars(one)} for one in self.buckets]
        return pandas.DataFrame(rows).set_index("start").astype({"latency_ms": float})

    def plot(self) -> "Figure":
        """Return a figure of requests, failures, latency and distribution of values over time."""
        from truthline.plots.health import over_time  # noqa: PLC0415 - needs plotly

        return over_time(self)


def health_of(deployment: str, health: Any, operational: Any) -> Health:
    """Combine two responses of H2O MLOps' API, in which all numbers of a graph are strings.

    As in `decode`, unknown members are ignored, and absent members are None.

    Raises:
        NotTruthline: the responses have a different form.
    """
    try:
        has_any(health, ("predictions", "totalPredictions"))
        latencies = _graph(operational, "scoringLatency")
        failures = _graph(operational, "failedPrediction")
        return Health(
            deployment,
            health.get("totalPredictions"),
            health.get("scoringLatency"),
            _each(health.get("predictions"), "bin", lambda one: _bucket(one, latencies, failures)),
            _each(health.get("predictionValues"), "box", _spread),
            health.get("exact"),
            _snapped(health.get("snapped")),
        )
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise NotTruthline(f"the response is not the health of a deployment: {error!r}") from error


def _each(graph: Any, member: str, read: Callable[[Any], Any]) -> Any:
    """Read each part of a graph; None if there is no graph."""
    parts = graph and graph.get(member)
    return None if parts is None else tuple(map(read, parts))


def _graph(operational: Any, name: str) -> Any:
    """Return numbers of a graph by the start of their bucket; None if unknown."""
    points = _each(operational.get(name), "point", lambda one: (one.get("xAxis"), one.get("yAxis")))
    found = {None: None} if points is None else dict(points)
    return None if None in found else found


def _bucket(one: Mapping[str, str], latencies: Any, failures: Any) -> HealthBucket:
    start = one.get("xMin")
    failed = None if failures is None else failures.get(start, "0")
    return HealthBucket(
        *_range(one),
        predictions=_read(int, one.get("y")),
        failures=_read(int, failed),
        latency_ms=_read(float, (latencies or {}).get(start)),
    )


def _range(one: Mapping[str, str]) -> tuple[Any, Any]:
    return _read(to_time, one.get("xMin")), _read(to_time, one.get("xMax"))


def _spread(box: Mapping[str, str]) -> Spread:
    return Spread(*_range(box), *(_read(float, box.get(f"y{place}")) for place in range(5)))


def _read(kind: Callable[[str], Any], text: str | None) -> Any:
    return None if text is None else kind(text)


def _snapped(edges: list[dict[str, Any]] | None) -> tuple[Snapped, ...]:
    if edges is None:  # an older server
        return ABSENT  # type: ignore[no-any-return] # like every field unknown to a server
    return tuple(decode(Snapped, edge) for edge in edges)
