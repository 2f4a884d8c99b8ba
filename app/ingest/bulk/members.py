"""The members of rows in a record batch: which column is which, and what one row says."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from app.errors import InvalidInput
from app.ingest.fields import MAX_NAME_LENGTH
from app.ingest.strict_json import DuplicateMember

# Columns that are one entry of a member each, such as score_cat and tag_country.
ENTRY_PREFIXES = {"scores": "score_", "tags": "tag_"}
MAX_COLUMNS = 12_000  # more classes than are kept of any model, and all members
_NUMBERS = ("confidence", "value", "latencySeconds", "batchIndex")
_MOST_DIGITS = 20
_WHOLE_NUMBER = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(
    r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE | re.ASCII
)
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}

Message = type[msgspec.Struct]


@dataclass(frozen=True, slots=True)
class Layout:
    """Positions of the columns of a schema, by member, and by entry of a member."""

    members: Mapping[str, int]
    entries: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    texts: bool = False  # whether all columns are texts, as in CSV

    @property
    def order(self) -> Sequence[str]:
        """The members in the order of their first columns: that of a row's first error."""
        first = {name: min(places.values()) for name, places in self.entries.items()}
        places = {**self.members, **first}
        return sorted(places, key=places.__getitem__)


def layout_of(names: Sequence[str], row_type: Message, *, texts: bool = False) -> Layout:
    """Find the member that each column is: its name in camelCase or in snake_case.

    Raises:
        InvalidInput: a column is no member, or one that another column is too.
    """
    if len(names) > MAX_COLUMNS:
        raise InvalidInput(f"the body has {len(names)} columns; at most {MAX_COLUMNS} are read")
    known = _known(row_type)
    members: dict[str, int] = {}
    entries: dict[str, dict[str, int]] = {}
    for place, name in enumerate(names):
        member, entry = known.get(name), None
        if member is None:
            member, entry = _entry(name, known)
        if entry is None:
            taken, key = members, member
        else:
            taken, key = entries.setdefault(member, {}), entry
        if key in taken or (entry is not None and member in members):
            raise InvalidInput(f"the column {_quoted(name)} is given twice")
        taken[key] = place
    if twice := entries.keys() & members.keys():
        raise InvalidInput(f"{twice.pop()} is given twice: as a column, and as columns of its own")
    return Layout(members, entries, texts)


@cache
def _known(row_type: Message) -> Mapping[str, str]:
    fields = msgspec.structs.fields(row_type)
    return {name: f.encode_name for f in fields for name in (f.name, f.encode_name)}


def _entry(name: str, known: Mapping[str, str]) -> tuple[str, str]:
    for member, prefix in ENTRY_PREFIXES.items():
        if member in known and name.startswith(prefix):
            return member, name.removeprefix(prefix)
    raise InvalidInput(f"the column {_quoted(name)} is not a known one")


def _quoted(name: str) -> str:
    return repr(name if len(name) <= MAX_NAME_LENGTH else f"{name[:MAX_NAME_LENGTH]}…")


class Members:
    """A record batch whose columns are members, of plain types."""

    def __init__(self, batch: pa.RecordBatch, layout: Layout) -> None:
        self.number = batch.num_rows
        self.texts = layout.texts
        self._order = layout.order
        self._columns = {
            member: column
            for member, place in layout.members.items()
            if (column := _plain(batch.column(place))) is not None
        }
        self._entries = {
            member: {
                entry: column
                for entry, place in places.items()
                if (column := _plain(batch.column(place))) is not None
            }
            for member, places in layout.entries.items()
        }

    def column(self, member: str) -> pa.Array | None:
        """The column of a member; None if there is none, or only nulls."""
        return self._columns.get(member)

    def entries(self, member: str) -> Mapping[str, pa.Array]:
        """The columns of a member that has one for each entry: also those of a struct."""
        column = self._columns.get(member)
        if column is not None and pa.types.is_struct(column.type):
            flat = zip((f.name for f in column.type), column.flatten(), strict=True)
            return {name: plain for name, array in flat if (plain := _plain(array)) is not None}
        return self._entries.get(member, {})

    def row(self, place: int) -> dict[str, Any]:
        """What a row says, as its JSON would; nulls are skipped.

        Raises:
            ValidationError: a map has a key twice, or a time can't be one of Python's.
        """
        row: dict[str, Any] = {}
        for member in self._order:
            if (column := self._columns.get(member)) is not None:
                value = _value(member, _python(column, place, member))
            else:
                entries = self._entries.get(member, {}).items()
                value = _without_nulls({e: _python(c, place, member) for e, c in entries}) or None
            if value is not None:
                row[member] = value
        return dict(_typed(row)) if self.texts else row


def _plain(column: pa.Array) -> pa.Array | None:
    """A column without the types that only save room; None if it has only nulls."""
    if column.null_count == len(column):
        return None
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_run_end_encoded(column.type):
        column = pc.run_end_decode(column)
    kind = column.type
    if pa.types.is_large_string(kind) or _is_view(kind):
        return column.cast(pa.string())
    if pa.types.is_decimal(kind) or pa.types.is_float16(kind):
        return column.cast(pa.float64())
    return _in_microseconds(column) if pa.types.is_timestamp(kind) else column


def _in_microseconds(column: pa.Array) -> pa.Array:
    """Times in microseconds, truncated as digits of a text are; unchanged if that can't be."""
    wanted = pa.timestamp("us", column.type.tz)
    try:
        if column.type.unit == "ns":
            return pc.floor_temporal(column, unit="microsecond").cast(wanted)
        return column.cast(wanted)
    except pa.ArrowInvalid:
        return column


def _is_view(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string_view(kind))


def _python(column: pa.Array, place: int, member: str) -> Any:
    try:
        return column[place].as_py()
    except (ValueError, OverflowError):  # a year that Python has not
        raise msgspec.ValidationError(f"Number out of range - at `$.{member}`") from None


def _value(member: str, value: Any) -> Any:
    """A value of Arrow as JSON has it."""
    if member in ENTRY_PREFIXES and isinstance(value, list):
        return _object(value)
    if member in ENTRY_PREFIXES and isinstance(value, dict):
        return {key: inner for key, inner in value.items() if inner is not None}
    if member == "detections" and isinstance(value, list):
        return [_without_nulls(detection) for detection in value]
    return value


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: inner for key, inner in value.items() if inner is not None}


def _object(pairs: list[Any]) -> Any:
    """A map of Arrow, which is a list of pairs."""
    given: dict[Any, Any] = {}
    for pair in pairs:
        if not isinstance(pair, tuple):
            return pairs
        key, value = pair
        if key in given:
            raise DuplicateMember(f"Object has member `{str(key)[:MAX_NAME_LENGTH]}` twice")
        if value is not None:
            given[key] = value
    return given


# --- texts that are numbers ---------------------------------------------------------------


def _typed(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Members of a row of CSV, of which all are texts, with the types that they have in JSON."""
    for member, value in row.items():
        if member == "batchIndex":
            yield member, whole_number_of(value)
        elif member in _NUMBERS:
            yield member, number_of(value)
        elif member == "error":
            yield member, _TRUTHS.get(value.lower(), value)
        elif member == "scores":
            yield member, {name: number_of(score) for name, score in value.items()}
        else:
            yield member, value


def number_of(text: str) -> Any:
    """The number that a text is; the text if it is none."""
    return float(text) if _NUMBER.fullmatch(text) else text


def whole_number_of(text: str) -> Any:
    """The whole number that a text is; the text if it is none."""
    return int(text) if _WHOLE_NUMBER.fullmatch(text) and len(text) <= _MOST_DIGITS else text


def truth_of(text: Any) -> Any:
    """The boolean that a text is; the text if it is none."""
    return _TRUTHS.get(text.lower(), text) if isinstance(text, str) else text
