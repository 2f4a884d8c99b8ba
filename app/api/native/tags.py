"""Parameters of native queries that select predictions by tags, or divide an answer by one."""

from collections.abc import Sequence
from typing import Any

from marshmallow import Schema, fields, validate

from app.api.http.parameters import Text
from app.query.parts import PartTotals
from app.query.question import Division, Part

DEFAULT_PARTS, MAX_PARTS = 10, 100


class TagArgs(Schema):
    """Which tags predictions have."""

    tags = fields.List(
        Text(),
        data_key="tag",
        metadata={
            "example": ["country:FR"],
            "description": "Only predictions with this tag, like country:FR; repeat it for several:"
            " values of one key are alternatives, and all keys must match. country: without a value"
            " selects predictions without the key",
        },
    )


class GroupArgs(Schema):
    """By which tag the answer is divided."""

    group_by = Text(
        data_key="groupBy",
        validate=validate.Length(min=1, error="must not be empty"),
        metadata={
            "example": "country",
            "description": "Include an answer for each value of this tag, the largest first",
        },
    )
    group_limit = fields.Integer(
        data_key="groupLimit",
        load_default=DEFAULT_PARTS,
        validate=validate.Range(1, MAX_PARTS),
        metadata={"description": "So many values; the others are one remainder"},
    )


def part_fields(whole: type[Schema], name: str) -> dict[str, fields.Field[Any]]:
    """Fields of an answer for its parts, which are of a schema like `whole`, named `name`."""
    value = fields.String(
        allow_none=True, metadata={"description": "null for predictions without the tag"}
    )
    values = fields.Integer(metadata={"description": "How many values are in it"})
    group = whole.from_dict({"value": value}, name=f"{name}Group")
    rest = whole.from_dict({"values": values}, name=f"{name}Remainder")
    return {
        "groups": fields.List(
            fields.Nested(group), metadata={"description": "The largest first, if requested"}
        ),
        "remainder": fields.Nested(
            rest,
            allow_none=True,
            metadata={"description": "All other values, so that the parts add up to the whole"},
        ),
    }


def division_of(args: dict[str, Any]) -> Division | None:
    """The parts that are asked for; None if none are."""
    key = args.get("group_by")
    return None if key is None else Division(key, args["group_limit"])


def grouped(
    parts: Sequence[Part[Any] | PartTotals], members: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Members of such an answer, from its parts and the members of each."""
    pairs = list(zip(parts, members, strict=True))
    return {
        "groups": [own for part, own in pairs if not part.is_rest],
        "remainder": next((own for part, own in pairs if part.is_rest), None),
    }
