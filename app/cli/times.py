"""Moments on the command line: ISO 8601, in UTC without an offset."""

from datetime import UTC, datetime

import click


class _Moment(click.ParamType[datetime]):
    """A moment, as parsed by datetime.fromisoformat."""

    name = "TIME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Parse it."""
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2026-03-01T10:00Z", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


MOMENT = _Moment()
