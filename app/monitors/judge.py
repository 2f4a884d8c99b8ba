"""A verdict: what a monitor finds in a window. Nothing here asks a database.

It depends on the definition, the window, and readings as of one moment, and on nothing else. So a
verdict can be computed again, as of any moment.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import fmean, stdev

from app.monitors.definition import FEWEST_TRAILING, MonitorDefinition, State
from app.query.noise import FEW


@dataclass(frozen=True, slots=True)
class Where:
    """What is read: [start, end) of the monitor's part, or of the same part of another version.

    `is_share` asks for the labelled share instead of the metric. `reference` is what the drift of
    that window is measured from.
    """

    start: datetime
    end: datetime
    of_other: bool = False
    is_share: bool = False
    reference: "Where | None" = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric of a window; None without anything to compute it from, or without an interval.

    `n` counts what it was computed from, `hits` those that count for it if it is a share. It is
    `lost` if retention has dropped rows without which that window can't be told from its
    surroundings.
    """

    n: int = 0
    value: float | None = None
    low: float | None = None
    high: float | None = None
    lost: bool = False
    hits: int | None = None


Read = Callable[[Where], Reading]
NOTHING = Reading()
LOST = Reading(lost=True)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. `baseline` is what the value was compared with; `reason` is one sentence."""

    state: State
    reason: str
    reading: Reading = NOTHING
    baseline: float | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """How far a metric is above a limit, and the bounds of that."""

    low: float
    high: float


def needed(definition: MonitorDefinition, end: datetime) -> Iterator[Where]:
    """All that is read for the verdict on the window that ends then."""
    for number in range(definition.for_):
        last = end - number * definition.step
        yield current_of(definition, last)
        if definition.minimum.labelled_share:
            yield _share_of(definition, last)
        yield from baselines_of(definition, last)


def current_of(definition: MonitorDefinition, end: datetime) -> Where:
    """The window itself; for drift, with what it is measured from."""
    window = Where(end - definition.length, end)
    if not definition.is_drift:
        return window
    (reference,) = _compared_with(definition, end)
    return replace(window, reference=reference)


def _share_of(definition: MonitorDefinition, end: datetime) -> Where:
    return Where(end - definition.length, end, is_share=True)


def baselines_of(definition: MonitorDefinition, end: datetime) -> Sequence[Where]:
    """What the window is compared with: none for a value or drift, several for sigmas."""
    return [] if definition.is_drift else _compared_with(definition, end)


def _compared_with(definition: MonitorDefinition, end: datetime) -> Sequence[Where]:
    compare, length = definition.compare, definition.length
    start = end - length
    if compare.with_ == "previous":
        return [Where(start - length, start)]
    if compare.with_ == "version":
        return [Where(start, end, of_other=True)]
    if compare.with_ == "reference" and compare.start_time and compare.end_time:
        return [Where(compare.start_time, compare.end_time)]
    if compare.with_ == "trailing" and compare.windows:
        if definition.rule.by != "sigmas":
            return [Where(start - compare.windows * length, start)]
        starts = [start - number * length for number in range(1, compare.windows + 1)]
        return [Where(first, first + length) for first in starts]
    return []


def judge(definition: MonitorDefinition, end: datetime, read: Read) -> Verdict:
    """The verdict on the window that ends then.

    A breach counts once as many windows in a row have one as the definition says.
    """
    found = _found(definition, end, read)
    if found.state not in (definition.severity, "pending"):
        return found
    for number in range(1, definition.for_):
        if _found(definition, end - number * definition.step, read).state != definition.severity:
            reason = f"{found.reason}, for {number} of {definition.for_} windows"
            return Verdict("pending", reason, found.reading, found.baseline)
    return found


def _found(definition: MonitorDefinition, end: datetime, read: Read) -> Verdict:
    """The verdict on that window alone."""
    reading = read(current_of(definition, end))
    if problem := _too_little(definition, end, reading, read):
        return Verdict("no data", problem, reading)
    base, spread = _baseline(definition, [read(where) for where in baselines_of(definition, end)])
    if reading.value is None or base.value is None:
        return Verdict("no data", "there is nothing to compare with", reading)
    gaps = list(_gaps(definition, reading, base, spread))
    state, reason = _decided(definition, gaps)
    return Verdict(state, reason, reading, base.value)


def _too_little(
    definition: MonitorDefinition, end: datetime, reading: Reading, read: Read
) -> str | None:
    """Why a window can't be judged."""
    least = definition.minimum
    if reading.lost:
        return "rows of that time have been dropped"
    if reading.value is None:
        return "there is nothing to compute the metric from"
    if reading.n < least.n:
        return f"{reading.n} are fewer than {least.n}"
    if least.labelled_share:
        share = read(_share_of(definition, end)).value
        if share is None or share < least.labelled_share:
            known, wanted = _percent(share or 0), _percent(least.labelled_share)
            return f"{known} of the truths are known, and not {wanted}"
    return None


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _baseline(
    definition: MonitorDefinition, found: Sequence[Reading]
) -> tuple[Reading, float | None]:
    """What is compared with, and the standard deviation of the periods before, for sigmas."""
    if definition.is_drift:  # it is 0 where nothing differs
        return Reading(0, 0.0, 0.0, 0.0), None
    if definition.compare.with_ == "value":
        value = definition.compare.value
        return Reading(0, value, value, value), None
    enough = [one for one in found if one.n >= definition.minimum.n and one.value is not None]
    if definition.rule.by != "sigmas":
        return (enough[0] if enough else NOTHING), None
    values = [one.value for one in enough if one.value is not None]
    if len(values) < FEWEST_TRAILING:
        return NOTHING, None
    return Reading(sum(one.n for one in enough), fmean(values)), stdev(values)


def _gaps(
    definition: MonitorDefinition, reading: Reading, base: Reading, spread: float | None
) -> Iterator[Gap | None]:
    """How far the metric is above each limit, with a sign: a breach is below 0. None: unknown."""
    rule, amount = definition.rule, definition.amount
    for sign, side in ((-1, "below"), (1, "above")):
        if rule.is_ not in (side, "outside"):
            continue
        factor, shift = 1.0, 0.0
        if rule.by == "percent":
            factor += sign * math.copysign(amount / 100, base.value or 0.0)
        elif rule.by == "value":
            shift = sign * amount
        elif rule.by == "sigmas":
            shift = sign * amount * (spread or 0.0)
        certain = definition.level is None or rule.by == "sigmas"
        gap = _gap(reading, base, factor, shift, certain=certain)
        yield gap if sign < 0 or gap is None else Gap(-gap.high, -gap.low)


def _gap(
    reading: Reading, base: Reading, factor: float, shift: float, *, certain: bool
) -> Gap | None:
    """The metric minus `factor` times the baseline and `shift`; None if nobody knows how sure.

    Its interval is computed from both by the method of variance estimates recovery: for two
    shares, whose intervals are Wilson's, that is Newcombe's.
    """
    assert reading.value is not None and base.value is not None  # noqa: S101, PT018 - see `_found`
    value, limit = reading.value, factor * base.value
    middle = value - limit - shift
    if certain:
        return Gap(middle, middle)
    own, other = _bounds(reading), _bounds(base)
    if own is None or other is None:
        return None
    low, high = sorted((factor * other[0], factor * other[1]))
    return Gap(
        middle - math.hypot(value - own[0], high - limit),
        middle + math.hypot(own[1] - value, limit - low),
    )


def _bounds(reading: Reading) -> tuple[float, float] | None:
    """Its interval; the value itself if nothing varied, None if there is too little."""
    if reading.low is not None and reading.high is not None:
        return reading.low, reading.high
    if reading.n < FEW or reading.value is None:
        return None
    return reading.value, reading.value


def _decided(definition: MonitorDefinition, gaps: Sequence[Gap | None]) -> tuple[State, str]:
    if any(gap is not None and gap.high < 0 for gap in gaps):
        return definition.severity, "the limit is crossed"
    if any(gap is None for gap in gaps):
        return "undecided", "there is too little to tell how sure it is"
    if all(gap is not None and gap.low >= 0 for gap in gaps):
        return "ok", "within the limit"
    return "undecided", "its interval has the limit within"
