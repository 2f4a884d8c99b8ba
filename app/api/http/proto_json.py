"""JSON of protobuf messages, read as any of its parsers does, grpc-gateway's included.

A member has its name in lowerCamelCase or as in the .proto file. A number may be a text: 64-bit
integers always are, and NaN and infinity have no other form. A member of value zero is omitted, and
null is the same as omitted: give each member that may be zero a default.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from app.errors import InvalidInput
from app.ingest.fields import read_field
from app.ingest.strict_json import DuplicateMember
from app.ingest.validation_errors import UNREADABLE, rejection_of

Message = TypeVar("Message", bound=msgspec.Struct)
Convert = Callable[[Any], Any]

# Up to three digits of an exponent: beyond them no number is in range.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_LONGEST = 400  # characters of a number in range


def of_proto_json(value: Any, kind: type[Message]) -> Message:
    """Convert parsed JSON to a message of this type; unknown members are ignored.

    Raises:
        one of UNREADABLE: it isn't one, or has a member under both of its names.
    """
    return msgspec.convert(_converter(kind)(value), kind, dec_hook=read_field)


def part_of_message(name: str, value: Any, kind: type[Message]) -> Message:
    """As `of_proto_json`, of a part of a message; `name` identifies it in errors.

    Raises:
        InvalidInput: it isn't one.
    """
    try:
        return of_proto_json(value, kind)
    except UNREADABLE as error:
        field, reason = rejection_of(error)
        raise InvalidInput(f"{'.'.join(filter(None, (name, field)))} {reason}") from None


@cache
def _converter(kind: type[msgspec.Struct]) -> Convert:
    """What brings the JSON of a message into the form that msgspec requires."""
    return _convert(inspect.type_info(kind))


def _convert(type_: inspect.Type) -> Convert:
    if isinstance(type_, inspect.StructType):
        return _of_struct(type_)
    if isinstance(type_, inspect.ListType):
        return _of_list(_convert(type_.item_type))
    if isinstance(type_, inspect.UnionType):
        return _of_union([t for t in type_.types if not isinstance(t, inspect.NoneType)])
    if isinstance(type_, inspect.Metadata):
        return _convert(type_.type)
    return {inspect.IntType: whole_number, inspect.FloatType: number}.get(type(type_), _unchanged)


def _unchanged(value: Any) -> Any:
    return value


def _of_union(types: list[inspect.Type]) -> Convert:
    """Only optional members are converted: of several types it is unknown which one is meant."""
    return _convert(types[0]) if len(types) == 1 else _unchanged


def _of_list(convert: Convert) -> Convert:
    if convert is _unchanged:
        return _unchanged
    return lambda value: [convert(item) for item in value] if isinstance(value, list) else value


def _of_struct(type_: inspect.StructType) -> Convert:
    converts = {field.encode_name: _convert(field.type) for field in type_.fields}
    names = {field.name: field.encode_name for field in type_.fields}

    def convert(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        message: dict[str, Any] = {}
        for name, member in value.items():
            json_name = names.get(name, name)
            if member is None or json_name not in converts:
                continue
            if json_name in message:
                raise DuplicateMember(f"Object has member `{json_name}` twice")
            message[json_name] = converts[json_name](member)
        return message

    return convert


def whole_number(value: Any) -> Any:
    """An integer, if the JSON value is one in any notation; otherwise unchanged."""
    if isinstance(value, str):
        exact = Decimal(value) if len(value) < _LONGEST and _NUMBER.fullmatch(value) else None
        return value if exact is None or exact % 1 else int(exact)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def number(value: Any) -> Any:
    """A double, if the JSON value is one in any notation; otherwise unchanged."""
    if isinstance(value, str) and (value in _NOT_FINITE or _NUMBER.fullmatch(value)):
        return float(value)
    return value
