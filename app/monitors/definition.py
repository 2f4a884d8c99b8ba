"""What a monitor is: the body that defines it, and what it must fulfil."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError
from msgspec import Meta

from app.errors import InvalidInput
from app.ingest.fields import (
    Instant,
    Label,
    Name,
    RequiredName,
    Value,
    number_problem,
    range_problem,
    read_field,
    tags_problem,
    text_problem,
)
from app.monitors.durations import MINUTE, parse_duration
from app.monitors.metrics import DRIFT, OF_CLASS, QUANTILE, Metric, metric_named
from app.query.drift import BY_WIRE, OF_LABELS, Quantity
from app.query.intervals import LEAST_CONFIDENCE
from app.query.tags import TagFilter
from app.query.window import zones

State = Literal["ok", "no data", "undecided", "pending", "warning", "critical"]
FIRING: tuple[State, ...] = ("warning", "critical")
# A window may be evaluated again so many times while it lasts.
MAX_OVERLAP = 288
MAX_TRAILING = 100
FEWEST_TRAILING = 3
# False alarms of a rule by significance, in a year of a model that does not change.
FALSE_ALARMS_PER_YEAR, LEAST_CHANCE = 0.01, 1e-6
YEAR = timedelta(days=365)


class Compare(msgspec.Struct, forbid_unknown_fields=True, rename="camel", frozen=True):
    """What a metric is compared with.

    `value`: a number. `previous`: the period before, of the same length. `reference`: a window that
    does not move. `version`: another version of the model, in the same window. `trailing`: so many
    periods before.
    """

    with_: Literal["value", "previous", "reference", "version", "trailing"] = msgspec.field(
        name="with"
    )
    value: Value | None = None
    start_time: Instant | None = None
    end_time: Instant | None = None
    version: Name | None = None
    windows: Annotated[int, Meta(ge=1, le=MAX_TRAILING)] | None = None


class Rule(msgspec.Struct, forbid_unknown_fields=True, rename="camel", frozen=True):
    """How far it may be from that.

    `amount` is in the metric's unit, in percent, in standard deviations of the periods before, or
    the chance of a false alarm in a year.
    """

    is_: Literal["below", "above", "outside"] = msgspec.field(name="is")
    by: Literal["value", "percent", "sigmas", "significance"] = "value"
    amount: Annotated[float, Meta(ge=0, le=1e100)] | None = None


class Minimum(msgspec.Struct, forbid_unknown_fields=True, rename="camel", frozen=True):
    """What a window must have to be judged: truths (or requests), and the share of known truths."""

    n: Annotated[int, Meta(ge=0, le=2**31)] = 0
    labelled_share: Annotated[float, Meta(ge=0, le=1)] = 0.0


class Silence(msgspec.Struct, forbid_unknown_fields=True, rename="camel", frozen=True):
    """When nobody is notified: from each moment of a cron expression on, for a while."""

    cron: Annotated[str, Meta(min_length=1, max_length=100)]
    duration: str
    time_zone: str = "UTC"

    def covers(self, moment: datetime) -> bool:
        """Whether a moment is within it."""
        local = moment.astimezone(ZoneInfo(self.time_zone))
        # the expression's last moment up to now: the search excludes its start, to the second
        began = next(CronSim(self.cron, local + timedelta(seconds=1), reverse=True), None)
        return began is not None and moment < began + parse_duration("duration", self.duration)


class MonitorDefinition(msgspec.Struct, forbid_unknown_fields=True, rename="camel", frozen=True):
    """A metric of a model, judged window by window."""

    model: RequiredName
    metric: RequiredName
    window: str
    compare: Compare
    rule: Rule
    namespace: Name = ""
    pipeline: Name = ""
    deployment: Name | None = None
    version: Name | None = None
    tags: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    group_by: RequiredName | None = None
    average: Literal["macro", "micro", "weighted"] = "macro"
    label: Label | None = None
    quantile: Annotated[float, Meta(ge=0, le=1)] | None = None
    quantity: Quantity | None = None
    statistic: (
        Literal[
            "psi",
            "jensenShannon",
            "hellinger",
            "totalVariation",
            "chiSquared",
            "kolmogorovSmirnov",
            "wasserstein",
        ]
        | None
    ) = None
    every: str | None = None
    confidence: Annotated[float, Meta(ge=LEAST_CONFIDENCE, lt=1)] | None = 0.95
    minimum: Minimum = Minimum()
    for_: Annotated[int, Meta(ge=1, le=100)] = msgspec.field(name="for", default=1)
    severity: Literal["warning", "critical"] = "critical"
    notify: Annotated[tuple[RequiredName, ...], Meta(max_length=20)] = ()
    notify_on: Annotated[tuple[State, ...], Meta(max_length=6)] = ("ok", "warning", "critical")
    silence: Annotated[tuple[Silence, ...], Meta(max_length=20)] = ()

    @property
    def watched(self) -> Metric:
        """The metric."""
        return metric_named(self.metric)

    @property
    def length(self) -> timedelta:
        """How long a window is."""
        return parse_duration("window", self.window)

    @property
    def step(self) -> timedelta:
        """How far apart two windows end."""
        return parse_duration("every", self.every or self.window)

    @property
    def amount(self) -> float:
        """That of the rule."""
        default = FALSE_ALARMS_PER_YEAR if self.rule.by == "significance" else 0.0
        return default if self.rule.amount is None else self.rule.amount

    @property
    def of_truths(self) -> bool:
        """Whether later truths may change a verdict."""
        return self.counts_truths or self.minimum.labelled_share > 0

    @property
    def of_predictions(self) -> bool:
        """Whether later predictions may change a verdict."""
        drifts = self.is_drift and not self.counts_truths
        return self.watched.of_predictions or drifts or self.minimum.labelled_share > 0

    @property
    def is_drift(self) -> bool:
        """Whether it compares distributions, and not numbers."""
        return self.metric == DRIFT

    @property
    def counts_truths(self) -> bool:
        """Whether its metric is computed from truths; otherwise from predictions alone."""
        return self.watched.of_truths or self.quantity is Quantity.ACTUAL_LABEL

    @property
    def tag_filter(self) -> TagFilter:
        """Which tags predictions have."""
        return TagFilter.of(self.tags)

    @property
    def level(self) -> float | None:
        """The confidence of the intervals that decide.

        By significance, each window may use as much of the year's chance of a false alarm as its
        step is of a year: so however often it is judged, the chances add up to that.
        """
        if self.rule.by == "significance":
            return 1 - self.amount * min(self.step / YEAR, 1.0)
        return self.confidence if self.watched.has_interval else None

    def silenced(self, moment: datetime) -> bool:
        """Whether nobody is notified at a moment."""
        return any(silence.covers(moment) for silence in self.silence)

    def judges_like(self, other: "MonitorDefinition") -> bool:
        """Whether both give the same verdicts: they may differ in who is notified of them."""
        untold = {"notify": (), "notify_on": (), "silence": ()}
        return msgspec.structs.replace(self, **untold) == msgspec.structs.replace(other, **untold)


def as_json(definition: MonitorDefinition) -> bytes:
    """The definition as it is stored and shown."""
    return msgspec.json.encode(definition)


def of_json(value: Any) -> MonitorDefinition:
    """The definition that was stored."""
    return msgspec.convert(value, MonitorDefinition, dec_hook=read_field)


def check(definition: MonitorDefinition, now: datetime) -> None:
    """Reject what contradicts itself, or could never give a verdict.

    Raises:
        InvalidInput: the message names the member.
    """
    for part in (_check_texts, _check_metric, _check_windows, _check_rule, _check_silence):
        part(definition)
    _COMPARED[definition.compare.with_](definition, now)


def _require(condition: object, message: str) -> None:
    if not condition:
        raise InvalidInput(message)


def _check_texts(definition: MonitorDefinition) -> None:
    tag_filter = definition.tag_filter
    texts = [definition.model, definition.namespace, definition.pipeline, definition.deployment]
    problem = text_problem(*texts, definition.version, definition.compare.version, *definition.tags)
    _require(problem is None, f"a text {problem}")
    if definition.group_by is not None:
        problem = tags_problem({definition.group_by: ""})
        _require(problem is None, f"groupBy {problem}")
    _require(tag_filter or not definition.tags, "tags must be keys and values like country:FR")


def _check_metric(definition: MonitorDefinition) -> None:
    metric = definition.watched
    _check_drift(definition)
    of_class = metric.name in OF_CLASS
    _require(
        definition.label is None or of_class, "label is for precision, recall and f1 of a class"
    )
    _require(
        (definition.quantile is not None) == (metric.name == QUANTILE),
        f"quantile must be given for {QUANTILE}, and for no other metric",
    )


def _check_drift(definition: MonitorDefinition) -> None:
    quantity, statistic = definition.quantity, definition.statistic
    if not definition.is_drift:
        _require(quantity is None, "quantity is for drift only")
        _require(statistic is None, "statistic is for drift only")
        return
    if quantity is None or statistic is None:
        raise InvalidInput("quantity and statistic are required for drift")
    _require(
        not quantity.is_label or BY_WIRE[statistic] in OF_LABELS,
        f"{statistic} is a statistic of numbers, which labels have not",
    )
    compare, rule = definition.compare, definition.rule
    _require(compare.with_ != "value", "compare.with must name what drift is measured from")
    _require(rule.is_ == "above" and rule.by == "value", "drift needs rule.is above, by value")


def _check_windows(definition: MonitorDefinition) -> None:
    window, every = definition.length, definition.step
    _require(every >= MINUTE, "every must be at least 1m")
    _require(window % every == timedelta(0), "window must be a multiple of every")
    _require(
        window // every <= MAX_OVERLAP,
        f"window must be at most {MAX_OVERLAP} times as long as every",
    )


def _check_rule(definition: MonitorDefinition) -> None:
    by, rule = definition.rule.by, definition.rule
    _require(number_problem(rule.amount) is None, "rule.amount must be a finite number")
    if by == "sigmas":
        _require(
            definition.compare.with_ == "trailing", "rule.by sigmas needs compare.with trailing"
        )
        _require(definition.amount > 0, "rule.amount must be more than 0 sigmas")
        _require(
            (definition.compare.windows or 0) >= FEWEST_TRAILING,
            f"compare.windows must be at least {FEWEST_TRAILING} for sigmas",
        )
    if by == "significance":
        _require(
            definition.watched.has_interval,
            f"{definition.metric} has no confidence interval, which rule.by significance needs",
        )
        _require(
            LEAST_CHANCE <= definition.amount <= 1 - LEAST_CONFIDENCE,
            f"rule.amount of significance must be {LEAST_CHANCE} to {1 - LEAST_CONFIDENCE}",
        )


def _check_silence(definition: MonitorDefinition) -> None:
    for silence in definition.silence:
        parse_duration("silence.duration", silence.duration)
        _require(silence.time_zone in zones(), "silence.timeZone must be like Europe/Paris")
        try:
            CronSim(silence.cron, datetime.now(UTC))
        except CronSimError:
            raise InvalidInput(
                "silence.cron must have five fields: minute, hour, day, month, day of the week"
            ) from None


def _check_value(definition: MonitorDefinition, _now: datetime) -> None:
    value = definition.compare.value
    _require(value is not None, "compare.value is required")
    _require(number_problem(value) is None, "compare.value must be a finite number")


def _check_nothing(_definition: MonitorDefinition, _now: datetime) -> None:
    """The period before needs nothing more."""


def _check_reference(definition: MonitorDefinition, now: datetime) -> None:
    start, end = definition.compare.start_time, definition.compare.end_time
    if start is None or end is None:
        raise InvalidInput("compare.startTime and compare.endTime are required")
    for time in (start, end):
        _require(range_problem(time) is None, "compare.startTime is out of range")
    _require(start < end, "compare.endTime must be after compare.startTime")
    _require(
        end <= now - definition.length,
        "compare.endTime must be at least a window before now, so that no window overlaps it",
    )


def _check_version(definition: MonitorDefinition, _now: datetime) -> None:
    other = definition.compare.version
    _require(other is not None, "compare.version is required")
    _require(definition.version is not None, "version is required: which one is compared")
    _require(other != definition.version, "compare.version must be another version")


def _check_trailing(definition: MonitorDefinition, _now: datetime) -> None:
    _require(definition.compare.windows is not None, "compare.windows is required")


_COMPARED: dict[str, Callable[[MonitorDefinition, datetime], None]] = {
    "value": _check_value,
    "previous": _check_nothing,
    "reference": _check_reference,
    "version": _check_version,
    "trailing": _check_trailing,
}
