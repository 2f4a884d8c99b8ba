"""How far behind the read replica is, for Prometheus."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class ReplicaMetrics(Collector):
    """The lag at the time of the look-up; None if it is not known."""

    lag: timedelta | None

    def collect(self) -> Iterator[Metric]:
        """A replica that can't be reached, or whose lag is not known, has no lag."""
        known = self.lag is not None
        yield GaugeMetricFamily(
            "truthline_replica_up",
            "Whether the read replica answers and its lag is known",
            value=float(known),
        )
        lag = GaugeMetricFamily(
            "truthline_replica_lag_seconds", "How far the read replica is behind the primary"
        )
        if self.lag is not None:
            lag.add_metric([], self.lag.total_seconds())
        yield lag
