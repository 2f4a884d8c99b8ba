"""The state of monitors and their messages, for Prometheus."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.monitors.definition import State
from app.monitors.watched import Watched


@dataclass(frozen=True, slots=True)
class MonitorMetrics(Collector):
    """The monitors of all workspaces at the time of the look-up."""

    watched: Watched

    def collect(self) -> Iterator[Metric]:
        """Every state has a sample. Before the first round there is no age of the last one."""
        states = GaugeMetricFamily(
            "truthline_monitor_parts", "Parts of monitors by state", labels=["state"]
        )
        for state in get_args(State):
            states.add_metric([state], self.watched.states.get(state, 0))
        messages = GaugeMetricFamily(
            "truthline_monitor_messages",
            "Messages to receivers that wait, or were abandoned",
            labels=["state"],
        )
        messages.add_metric(["waiting"], self.watched.waiting)
        messages.add_metric(["dead"], self.watched.dead)
        age = GaugeMetricFamily(
            "truthline_monitor_round_age_seconds",
            "Time since the moment as of which monitors judged last",
        )
        if self.watched.round_age is not None:
            age.add_metric([], self.watched.round_age)
        yield from (states, messages, age)
