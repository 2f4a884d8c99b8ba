"""What Grafana makes of a query before PostgreSQL sees it.

Source: "Macros" of the PostgreSQL data source and "Variable syntax" in Grafana's documentation.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
ALL = None  # of a variable whose custom value for all is NULL


@dataclass(frozen=True)
class Range:
    """The time picker's range, and the interval that a panel's width makes of it."""

    start: datetime
    end: datetime
    interval: str

    def expand(self, sql: str, variables: Mapping[str, str | None]) -> str:
        """The query as it is sent. Refuses what it doesn't know."""
        known = {name: _quoted(value) for name, value in variables.items()}
        sql = re.sub(r"\$\{(\w+):sqlstring\}", lambda match: known[match[1]], sql)
        plain = {name: value or "" for name, value in variables.items()}
        sql = re.sub(r"\$(?!_)(\w+)", lambda match: plain[match[1]], sql)
        for macro, text in self._macros().items():
            sql = sql.replace(macro, text)
        assert "$" not in sql, sql
        return sql

    def _macros(self) -> dict[str, str]:
        written = re.fullmatch(r"(\d+)(\w+)", self.interval)
        assert written, self.interval
        number, unit = written.groups()
        return {
            "$__timeFrom()": f"'{_rfc3339(self.start)}'",
            "$__timeTo()": f"'{_rfc3339(self.end)}'",
            "$__interval_ms": str(int(number) * UNITS[unit]),
            "$__interval": self.interval,
        }

    @property
    def length(self) -> timedelta:
        """From start to end."""
        return self.end - self.start


def _rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _quoted(value: str | None) -> str:
    return "NULL" if value is ALL else "'" + value.replace("'", "''") + "'"
