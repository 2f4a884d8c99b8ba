"""The state of the levels, for Prometheus."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.query.status import FreshLevel


@dataclass(frozen=True, slots=True)
class LevelMetrics(Collector):
    """The levels at the time of the look-up.

    A level that was never clean, or never audited, has no sample for it.
    """

    levels: Sequence[FreshLevel]

    def collect(self) -> Iterator[Metric]:
        """Moments are seconds since 1970; faults are learned spans."""
        clean = GaugeMetricFamily(
            "truthline_level_clean_timestamp_seconds",
            "Until when a level contains every row that was received",
            labels=["level"],
        )
        audited = GaugeMetricFamily(
            "truthline_level_audited_timestamp_seconds",
            "Until when a level's cells were compared with the rows they count",
            labels=["level"],
        )
        faults = GaugeMetricFamily(
            "truthline_level_audit_faults",
            "Learned spans that audits found wrong: open ones are not used",
            labels=["level", "state"],
        )
        for level in self.levels:
            if level.clean_until:
                clean.add_metric([level.name], level.clean_until.timestamp())
            if level.audited_until:
                audited.add_metric([level.name], level.audited_until.timestamp())
            faults.add_metric([level.name, "open"], level.open_faults)
            faults.add_metric([level.name, "healed"], level.repaired_faults)
        yield from (clean, audited, faults)
