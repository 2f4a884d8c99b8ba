"""Fields of schemas, generated from the registry of measures."""

from typing import Any

from marshmallow import Schema, fields

from app.query.measure import Measure, Measures, Surface, Unit, shown_in

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


class ComparedSchema(Schema):
    """A number of the window and of the preceding one; null if it is undefined."""

    now = fields.Float(allow_none=True)
    previous = fields.Float(allow_none=True, data_key="previous")
    change = fields.Float(
        allow_none=True, metadata={"description": "(now - previous) / previous, a ratio"}
    )


class CountedSchema(Schema):
    """A count of the window and of the preceding one."""

    now = fields.Integer(allow_none=True)
    previous = fields.Integer(allow_none=True, data_key="previous")
    change = fields.Float(allow_none=True)


class QuantilesSchema(Schema):
    """Exact quantiles of the window, interpolated between neighbours."""

    class Meta:  # noqa: D106 - marshmallow's way to add fields that are computed
        include = {name: fields.Float() for name in QUANTILES}  # noqa: RUF012 - read once


def numbers(measures: Measures) -> dict[str, fields.Field[Any]]:
    """A field for each measure of native endpoints: an integer if it is a count."""
    return {measure.name: _number(measure) for measure in shown_in(Surface.REST, measures)}


def compared(measures: Measures) -> dict[str, fields.Field[Any]]:
    """A field for each measure, with its value in both periods; quantiles only of the window."""
    return {measure.name: _compared(measure) for measure in shown_in(Surface.REST, measures)}


def _number(measure: Measure) -> fields.Field[Any]:
    if measure.unit is Unit.COUNT:
        return fields.Integer(**_described(measure))
    return fields.Float(allow_none=True, **_described(measure))


def _compared(measure: Measure) -> fields.Field[Any]:
    if measure.name == "quantiles":
        return fields.Nested(QuantilesSchema, allow_none=True, **_described(measure))
    schema = CountedSchema if measure.unit is Unit.COUNT else ComparedSchema
    return fields.Nested(schema, **_described(measure))


def _described(measure: Measure) -> dict[str, Any]:
    return {"data_key": measure.wire_name, "metadata": {"description": measure.meaning}}
