"""Fields of schemas, generated from the registry of measures."""

from typing import Any

from marshmallow import Schema, fields, missing

from app.query.measure import Measure, Measures, Surface, Unit, shown_in, with_interval

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


class Requested(fields.Nested):
    """A member that is omitted unless it was requested; it is then not None."""

    def _serialize(self, *args: Any, **kwargs: Any) -> Any:
        if args[0] is None:
            return missing
        return super()._serialize(*args, **kwargs)  # type: ignore[no-untyped-call] # marshmallow's


class IntervalSchema(Schema):
    """The bounds of a confidence interval."""

    low = fields.Float()
    high = fields.Float()


class ComparedSchema(Schema):
    """A number of the window and of the preceding one; null if it is undefined."""

    now = fields.Float(allow_none=True)
    previous = fields.Float(allow_none=True, data_key="previous")
    change = fields.Float(
        allow_none=True, metadata={"description": "(now - previous) / previous, a ratio"}
    )


class ComparedShareSchema(ComparedSchema):
    """A share of the window and of the preceding one."""

    interval = fields.Nested(
        IntervalSchema,
        allow_none=True,
        metadata={"description": "Confidence interval of now, if a confidence is requested"},
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


def intervals(measures: Measures) -> dict[str, fields.Field[Any]]:
    """A field for each measure that has a confidence interval."""
    return {
        measure.name: fields.Nested(
            IntervalSchema,
            allow_none=True,
            data_key=measure.wire_name,
            metadata={"description": measure.interval.value if measure.interval else ""},
        )
        for measure in with_interval(Surface.REST, measures)
    }


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
    return fields.Nested(_compared_schema(measure), **_described(measure))


def _compared_schema(measure: Measure) -> type[Schema]:
    if measure.interval:
        return ComparedShareSchema
    return CountedSchema if measure.unit is Unit.COUNT else ComparedSchema


def _described(measure: Measure) -> dict[str, Any]:
    return {"data_key": measure.wire_name, "metadata": {"description": measure.meaning}}
