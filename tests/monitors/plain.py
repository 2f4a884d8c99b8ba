"""Verdicts in plain Python, over the rows themselves: nothing of the server's code is used."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import NormalDist, fmean, stdev
from typing import Any

from tests.monitors.given import START

UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
FEW = 30


@dataclass(frozen=True)
class Truth:
    """A prediction with its truth; `weight` is -1 where a correction withdraws it."""

    series: int
    time: datetime
    received_at: datetime
    hit: bool
    error: float
    weight: int = 1


@dataclass(frozen=True)
class Sent:
    """A request."""

    series: int
    time: datetime
    received_at: datetime
    failed: bool
    latency: float | None


@dataclass(frozen=True)
class Rows:
    """All rows, of series with a version and a country."""

    truths: Sequence[Truth]
    sent: Sequence[Sent]
    versions: Mapping[int, str]
    countries: Mapping[int, str]


@dataclass(frozen=True)
class Number:
    n: int
    value: float | None
    low: float | None = None
    high: float | None = None


def length(text: str) -> timedelta:
    return int(text[:-1]) * UNITS[text[-1]]


def wilson(hits: int, n: int, confidence: float) -> tuple[float, float]:
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    middle = (hits + z * z / 2) / (n + z * z)
    half = z * math.sqrt(hits * (n - hits) / n + z * z / 4) / (n + z * z)
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == n else middle + half)


def share(hits: int, n: int, confidence: float | None, *, surely: bool = False) -> Number:
    if n == 0:
        return Number(0, None)
    if confidence is None or hits > n:
        return Number(n, hits / n)
    bounds = chernoff if surely else wilson
    return Number(n, hits / n, *bounds(hits, n, confidence))


def chernoff(hits: int, n: int, confidence: float) -> tuple[float, float]:
    """The farthest shares whose likelihood is at least a limit: searched in steps that shrink."""
    limit = hits_likelihood(hits, n, hits / n) + math.log((1 - confidence) / 2)
    bounds = []
    for sign in (-1, 1):
        at, step = hits / n, 0.25
        while step > 1e-15:
            further = at + sign * step
            if at != further and 0 <= further <= 1 and hits_likelihood(hits, n, further) >= limit:
                at = further
            else:
                step /= 2
        bounds.append(at)
    return bounds[0], bounds[1]


def hits_likelihood(hits: int, n: int, share: float) -> float:
    """The logarithm, without the binomial coefficient."""
    found = 0.0
    for count, chance in ((hits, share), (n - hits, 1 - share)):
        if count:
            found += count * math.log(chance) if chance > 0 else -math.inf
    return found


def quantile(numbers: Sequence[float], fraction: float) -> float:
    ordered = sorted(numbers)
    place = fraction * (len(ordered) - 1)
    below = math.floor(place)
    above = math.ceil(place)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


@dataclass(frozen=True)
class Oracle:
    """What a monitor finds, given the rows that were received before `as_of`."""

    body: Mapping[str, Any]
    rows: Rows
    as_of: datetime
    part: str = ""

    @property
    def window(self) -> timedelta:
        return length(self.body["window"])

    @property
    def every(self) -> timedelta:
        return length(self.body.get("every") or self.body["window"])

    @property
    def confidence(self) -> float | None:
        rule = self.body["rule"]
        if rule.get("by") == "significance":
            return 1 - float(rule["amount"]) * (self.every / timedelta(days=365))
        confidence: float | None = self.body["confidence"]
        return confidence

    @property
    def surely(self) -> bool:
        return bool(self.body["rule"].get("by") == "significance")

    def _selects(self, series: int, *, other: bool) -> bool:
        version = self.body["compare"].get("version") if other else self.body.get("version")
        if version is not None and self.rows.versions[series] != version:
            return False
        return not self.part or f"country:{self.rows.countries[series]}" == self.part

    def _known(self, rows: Iterable[Any], start: datetime, end: datetime, other: bool) -> list[Any]:
        return [
            row
            for row in rows
            if start <= row.time < end
            and row.received_at < self.as_of
            and self._selects(row.series, other=other)
        ]

    def share_labelled(self, start: datetime, end: datetime, *, other: bool = False) -> Number:
        truths = sum(t.weight for t in self._known(self.rows.truths, start, end, other))
        sent = [s for s in self._known(self.rows.sent, start, end, other) if not s.failed]
        return share(truths, len(sent), self.confidence, surely=self.surely)

    def number(self, start: datetime, end: datetime, *, other: bool = False) -> Number:
        truths = self._known(self.rows.truths, start, end, other)
        sent = self._known(self.rows.sent, start, end, other)
        latencies = [s.latency for s in sent if s.latency is not None]
        n, failed = sum(t.weight for t in truths), sum(s.failed for s in sent)
        hits = sum(t.weight for t in truths if t.hit)
        metrics: dict[str, Callable[[], Number]] = {
            "accuracy": lambda: share(hits, n, self.confidence, surely=self.surely),
            "errorRate": lambda: share(failed, len(sent), self.confidence, surely=self.surely),
            "inferences": lambda: Number(len(sent), float(len(sent) - failed)),
            "errors": lambda: Number(len(sent), float(failed)),
            "labelledShare": lambda: self.share_labelled(start, end, other=other),
            "latencySeconds": lambda: Number(
                len(latencies), fmean(latencies) if latencies else None
            ),
            "latencyQuantile": lambda: Number(
                len(latencies),
                quantile(latencies, self.body["quantile"]) if latencies else None,
            ),
        }
        return metrics[self.body["metric"]]()

    # --- verdicts ---------------------------------------------------------------------------

    def state(self, end: datetime) -> str:
        severity = self.body.get("severity", "critical")
        states = [self.alone(end - i * self.every) for i in range(self.body.get("for", 1))]
        if states[0] != severity:
            return states[0]
        return severity if set(states) == {severity} else "pending"

    def alone(self, end: datetime) -> str:
        start = end - self.window
        least = self.body.get("minimum", {})
        own = self.number(start, end)
        if own.value is None or own.n < least.get("n", 0):
            return "no data"
        if wanted := least.get("labelledShare"):
            known = self.share_labelled(start, end).value
            if known is None or known < wanted:
                return "no data"
        base, spread = self.baseline(start, end)
        if base.value is None:
            return "no data"
        return self.decide(own, base, spread)

    def baseline(self, start: datetime, end: datetime) -> tuple[Number, float]:
        compare, least = self.body["compare"], self.body.get("minimum", {}).get("n", 0)
        kind, count = compare["with"], compare.get("windows", 0)
        if kind == "value":
            return Number(0, compare["value"], compare["value"], compare["value"]), 0.0
        if kind == "trailing" and self.body["rule"].get("by") == "sigmas":
            found = [
                self.number(start - i * self.window, start - (i - 1) * self.window)
                for i in range(1, count + 1)
            ]
            values = [one.value for one in found if one.value is not None and one.n >= least]
            if len(values) < 3:
                return Number(0, None), 0.0
            return Number(0, fmean(values)), stdev(values)
        base = {
            "previous": lambda: self.number(start - self.window, start),
            "version": lambda: self.number(start, end, other=True),
            "trailing": lambda: self.number(start - count * self.window, start),
            "reference": lambda: self.number(
                datetime.fromisoformat(compare["startTime"]),
                datetime.fromisoformat(compare["endTime"]),
            ),
        }[kind]()
        return (base if base.n >= least else Number(0, None)), 0.0

    def decide(self, own: Number, base: Number, spread: float) -> str:
        rule = self.body["rule"]
        by, amount = rule.get("by", "value"), rule.get("amount", 0.0)
        has_interval = self.body["metric"] in ("accuracy", "errorRate", "labelledShare")
        certain = self.confidence is None or by == "sigmas" or not has_interval
        answers = []
        for side, sign in (("below", -1), ("above", 1)):
            if rule["is"] not in (side, "outside"):
                continue
            assert own.value is not None
            assert base.value is not None
            factor = 1 + sign * amount / 100 * (-1 if base.value < 0 else 1)
            factor = factor if by == "percent" else 1.0
            shift = sign * {"value": amount, "sigmas": amount * spread}.get(by, 0.0)
            over = sign * (own.value - factor * base.value - shift)  # a breach is above 0
            if certain:
                answers.append("breach" if over > 0 else "ok")
                continue
            answers.append(self.unsure(own, base, factor, sign, over))
        if "breach" in answers:
            return str(self.body.get("severity", "critical"))
        return "undecided" if "undecided" in answers else "ok"

    @staticmethod
    def unsure(own: Number, base: Number, factor: float, sign: int, over: float) -> str:
        """Newcombe's interval of the difference, or that of its two sides."""
        bounds = []
        for one in (own, base):
            if one.low is None and one.n < FEW:
                return "undecided"
            assert one.value is not None
            value = one.value
            bounds.append((one.low, one.high) if one.low is not None else (value, value))
        (low, high), (base_low, base_high) = bounds
        assert own.value is not None
        assert base.value is not None
        assert low is not None
        assert high is not None
        assert base_low is not None
        assert base_high is not None
        down, up = own.value - low, high - own.value
        base_down = factor * (base.value - base_low)
        base_up = factor * (base_high - base.value)
        least = math.hypot(down, base_up) if sign > 0 else math.hypot(up, base_down)
        most = math.hypot(up, base_down) if sign > 0 else math.hypot(down, base_up)
        if over - least > 0:
            return "breach"
        return "ok" if over + most <= 0 else "undecided"


def ends(body: Mapping[str, Any], until: datetime) -> list[datetime]:
    every = length(body.get("every") or body["window"])
    found, end = [], START + every
    while end <= until:
        found.append(end)
        end += every
    return found
