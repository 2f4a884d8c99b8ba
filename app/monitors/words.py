"""What a monitor watches, in words."""

from app.monitors.definition import MonitorDefinition
from app.query.measure import Unit

_BY = {"percent": "{:g} %", "sigmas": "{:g} sigmas", "value": "{:g}"}


def watches_in_words(definition: MonitorDefinition) -> str:
    """What it watches, in short: `accuracy of fraud below 0.9, 1h`."""
    rule = rule_in_words(definition)
    metric = definition.metric
    if definition.is_drift and definition.quantity:
        metric = f"{definition.statistic} of {definition.quantity.value}"
    return f"{metric} of {definition.model} {rule}, {definition.window}"


def rule_in_words(definition: MonitorDefinition) -> str:
    """When it fires: `below 0.9`, or `more than 5 % above the period before`."""
    rule = definition.rule
    against = _compared_with(definition)
    if definition.is_drift:
        return f"more than {definition.amount:g} away from {against}"
    if rule.by == "significance":
        return f"significantly {rule.is_} {against}"
    if not definition.amount:
        return f"{rule.is_} {against}"
    return f"more than {_BY[rule.by].format(definition.amount)} {rule.is_} {against}"


def _compared_with(definition: MonitorDefinition) -> str:
    compare = definition.compare
    if compare.value is not None and compare.with_ == "value":
        is_share = definition.watched.unit is Unit.SHARE
        return f"{100 * compare.value:g} %" if is_share else f"{compare.value:g}"
    return {
        "previous": "the period before",
        "reference": "the reference window",
        "version": f"version {compare.version}",
        "trailing": f"the {compare.windows} periods before",
    }[compare.with_]


def limits_of(definition: MonitorDefinition) -> list[float]:
    """The limits of a metric that is compared with a value; none for other comparisons."""
    compare, rule, amount = definition.compare, definition.rule, definition.amount
    if compare.with_ != "value" or compare.value is None:
        return []
    distance = {"value": amount, "percent": abs(compare.value) * amount / 100}.get(rule.by, 0.0)
    limits = {"below": [-distance], "above": [distance], "outside": [-distance, distance]}
    return [compare.value + side for side in dict.fromkeys(limits[rule.is_])]
