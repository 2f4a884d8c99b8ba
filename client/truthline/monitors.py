"""Monitors: what they watch, what they found, and who is notified."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from truthline.extras import extra
from truthline.wire import ABSENT, End, Start

if TYPE_CHECKING:  # packages that need not be there
    import pandas as pd


@dataclass(frozen=True)
class MonitorPart:
    """Where a part of a monitor stands: its last verdict, and since when it has this state.

    `part` is empty for a monitor without groups, otherwise like `country:FR`. `baseline` is what
    the value was compared with.
    """

    part: str = ABSENT
    state: str = ABSENT
    since: datetime = ABSENT
    start: Start = ABSENT
    end: End = ABSENT
    as_of: datetime = ABSENT
    reason: str = ABSENT
    value: float | None = None
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    n: int = ABSENT


@dataclass(frozen=True)
class Monitor:
    """A monitor; `definition` is what `put_monitor` takes. It has no parts before it has judged.

    `revision` counts changes of what is judged, `dead_messages` those that were abandoned.
    """

    name: str = ABSENT
    revision: int = ABSENT
    created_at: datetime = ABSENT
    changed_at: datetime = ABSENT
    definition: Mapping[str, Any] = ABSENT
    parts: tuple[MonitorPart, ...] = ABSENT
    dead_messages: int = ABSENT

    @property
    def fires(self) -> bool:
        """Whether a part is in state `warning` or `critical`."""
        return any(part.state in ("warning", "critical") for part in self.parts or ())


@dataclass(frozen=True)
class Monitors:
    """The monitors of a workspace, by name."""

    monitors: tuple[Monitor, ...] = ABSENT


@dataclass(frozen=True)
class RevisedVerdict:
    """The verdict on the same window that a later one has changed.

    `learned` counts the truths, or predictions, that were received in between.
    """

    state: str = ABSENT
    value: float | None = None
    as_of: datetime = ABSENT
    learned: int = ABSENT


@dataclass(frozen=True)
class MonitorVerdict:
    """What a monitor found in a window; `revises` is the verdict that it has changed, if any."""

    part: str = ABSENT
    start: Start = ABSENT
    end: End = ABSENT
    as_of: datetime = ABSENT
    revision: int = ABSENT
    state: str = ABSENT
    reason: str = ABSENT
    value: float | None = None
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    n: int = ABSENT
    revises: RevisedVerdict | None = None


@dataclass(frozen=True)
class MonitorHistory:
    """The last verdict on each window that was known at a moment, the latest window first.

    `judged_as_of` is the moment of the last round. `before` continues the list, None at its end.
    """

    verdicts: tuple[MonitorVerdict, ...] = ABSENT
    judged_as_of: datetime | None = None
    before: datetime | None = None

    def to_pandas(self) -> "pd.DataFrame":
        """Return a DataFrame with a row per verdict; of what it revises, the state and value."""
        pandas = extra("pandas", "pandas")
        return pandas.DataFrame([_row(verdict) for verdict in self.verdicts or ()])


def _row(verdict: MonitorVerdict) -> dict[str, Any]:
    earlier = verdict.revises or RevisedVerdict()
    own = {name: value for name, value in vars(verdict).items() if name != "revises"}
    revised = {"state": earlier.state, "value": earlier.value, "learned": earlier.learned}
    return own | {f"revised_{name}": value for name, value in revised.items()}


@dataclass(frozen=True)
class Receiver:
    """Who is notified. `host` is the part of its address that is no secret.

    `secret` is set in the answer that created it. `waiting` and `dead` count its messages.
    """

    name: str = ABSENT
    kind: str = ABSENT
    host: str = ABSENT
    created_at: datetime = ABSENT
    waiting: int = ABSENT
    dead: int = ABSENT
    secret: str | None = None


@dataclass(frozen=True)
class Receivers:
    """The receivers of a workspace, by name."""

    receivers: tuple[Receiver, ...] = ABSENT


@dataclass(frozen=True)
class ReceiverTest:
    """Whether a receiver accepted a test: `error` is empty if it did."""

    receiver: str = ABSENT
    error: str = ABSENT


@dataclass(frozen=True)
class MonitorTest:
    """A test that was sent to each receiver of a monitor."""

    results: tuple[ReceiverTest, ...] = ABSENT
