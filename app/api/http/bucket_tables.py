"""Answers that have buckets, as tables for pandas, polars and DuckDB. Needs pyarrow.

One row per bucket. The schema of the answer says which columns there are: a member that is an
object is one column per member of its own, like `intervals.accuracy.low`, and one that is a list
stays one. All other members of the answer are JSON in the metadata of the table.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa
from marshmallow import Schema, fields

from app.api.http.columnar import file_of, stream_of
from app.api.http.columns import ARROW
from app.api.http.numbers import UtcTime

# The key of the metadata with the rest of the answer.
ANSWER = "truthline"
BUCKETS = "buckets"
GROUPS, REMAINDER = "groups", "remainder"
TIME = pa.timestamp("us", "UTC")
_TYPES: Mapping[type[fields.Field[Any]], pa.DataType] = {
    fields.Integer: pa.int64(),
    fields.Float: pa.float64(),
    fields.Boolean: pa.bool_(),
    UtcTime: TIME,
}
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Path:
    """A column: the members that lead to its values, and its field."""

    members: tuple[str, ...]
    field: fields.Field[Any]

    @property
    def name(self) -> str:
        """The name of the column."""
        return ".".join(self.members)

    def values(self, rows: Sequence[Json]) -> list[Any]:
        """Its values; None where an object is null, or a member is absent."""
        values: list[Any] = list(rows)
        for member in self.members:
            values = [None if value is None else value.get(member) for value in values]
        return values

    def is_in(self, rows: Sequence[Json]) -> bool:
        """Whether an answer has it: some members are only there if they are requested."""
        first = self.members[0]
        return not rows or any(first in row for row in rows)


def table_of(schema: Schema, body: bytes) -> pa.Table:
    """The buckets of an answer, from its JSON.

    With parts, there are rows for the whole, for each group and for the remainder: the column
    `part` says which, and `group` has the value of the tag.
    """
    answer: Json = msgspec.json.decode(body)
    rows, parts = _rows(answer)
    paths = [path for path in _paths(_inner(schema, BUCKETS)) if path.is_in(rows)]
    columns = {path.name: _array(path.field, path.values(rows)) for path in paths}
    if GROUPS in answer:
        columns = {name: pa.array(parts[name], pa.string()) for name in parts} | columns
    rest = {name: v for name, v in answer.items() if name not in (BUCKETS, GROUPS, REMAINDER)}
    return pa.table(columns).replace_schema_metadata({ANSWER: json.dumps(rest)})


def write(schema: Schema, body: bytes, media_type: str) -> bytes:
    """The same as an Arrow stream or a Parquet file."""
    table = table_of(schema, body)
    form = stream_of if media_type == ARROW else file_of
    return b"".join(form(table.schema, iter(table.to_batches())))


def _rows(answer: Json) -> tuple[list[Json], dict[str, list[str | None]]]:
    rows: list[Json] = []
    parts: dict[str, list[str | None]] = {"part": [], "group": []}
    for part, group, buckets in _parts(answer):
        rows += buckets
        parts["part"] += [part] * len(buckets)
        parts["group"] += [group] * len(buckets)
    return rows, parts


def _parts(answer: Json) -> Iterator[tuple[str, str | None, list[Json]]]:
    yield "whole", None, answer[BUCKETS]
    for group in answer.get(GROUPS) or ():
        yield "group", group["value"], group[BUCKETS]
    if remainder := answer.get(REMAINDER):
        yield REMAINDER, None, remainder[BUCKETS]


def _inner(schema: Schema, member: str) -> Schema:
    """The schema of the objects in a list."""
    field = schema.dump_fields[member]
    assert isinstance(field, fields.List)  # noqa: S101 - for the type checker, as the next
    assert isinstance(field.inner, fields.Nested)  # noqa: S101
    return field.inner.schema


def _members(schema: Schema) -> Iterator[tuple[str, fields.Field[Any]]]:
    for name, field in schema.dump_fields.items():
        yield name if field.data_key is None else field.data_key, field


def _paths(schema: Schema, above: tuple[str, ...] = ()) -> Iterator[Path]:
    for name, field in _members(schema):
        if isinstance(field, fields.Nested) and not (field.many or field.schema.many):
            yield from _paths(field.schema, (*above, name))
        else:
            yield Path((*above, name), field)


def _array(field: fields.Field[Any], values: Sequence[Any]) -> pa.Array:
    type_ = _type(field, values)
    return pa.array(_with_times(type_, values) if _has_times(type_) else values, type_)


def _type(field: fields.Field[Any], values: Sequence[Any]) -> pa.DataType:
    """The type of a column with these values; of objects, without members that none has."""
    if isinstance(field, fields.List):
        return pa.list_(_type(field.inner, _elements(values)))
    if isinstance(field, fields.Nested):
        is_list = field.many or field.schema.many
        struct = _struct(field.schema, _elements(values) if is_list else values)
        return pa.list_(struct) if is_list else struct
    known = (type_ for of, type_ in _TYPES.items() if isinstance(field, of))
    return next(known, pa.string())


def _elements(lists: Sequence[Any]) -> list[Any]:
    return [element for values in lists if values is not None for element in values]


def _struct(schema: Schema, objects: Sequence[Any]) -> pa.DataType:
    some = [one for one in objects if one is not None]
    return pa.struct(
        [
            (name, _type(field, [one.get(name) for one in some]))
            for name, field in _members(schema)
            if not some or any(name in one for one in some)
        ]
    )


def _has_times(type_: pa.DataType) -> bool:
    return "timestamp" in str(type_)


def _with_times(type_: pa.DataType, values: Sequence[Any]) -> list[Any]:
    """Values with moments instead of their texts."""
    return [None if value is None else _with_time(type_, value) for value in values]


def _with_time(type_: pa.DataType, value: Any) -> Any:
    if type_ == TIME:
        return datetime.fromisoformat(value)
    if pa.types.is_list(type_):
        return _with_times(type_.value_type, value)
    if pa.types.is_struct(type_):
        return {f.name: _with_times(f.type, [value.get(f.name)])[0] for f in type_}
    return value
