"""Columns of a file as members of predictions and truths.

A row may have its truth next to its prediction: then it becomes both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.errors import InvalidInput, RowError
from app.ingest.bulk.chunks import Batch
from app.ingest.bulk.files import FilePart
from app.ingest.bulk.members import ENTRY_PREFIXES, layout_of
from app.ingest.feedback import Feedback
from app.ingest.inferences import Prediction

# Names of the truth, and what it is: a label or a value. By default that of the prediction next
# to it, and without one that which its type suggests.
TRUTH = {"truth": "", "actual": "", "truth_label": "label", "truth_value": "value"}
OUTPUTS = ("label", "scores", "value", "detections", "error")
# Members of a truth that are those of its prediction.
_COMMON = ("model", "namespace", "pipeline", "request_id", "batch_index")
_NAMES = {f.name: f.name for f in msgspec.structs.fields(Prediction)} | {
    f.encode_name: f.name for f in msgspec.structs.fields(Prediction)
}
_TEXTS = ("model", "namespace", "pipeline", "deployment", "version", "request_id")
_NAIVE = r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)$"


@dataclass(frozen=True, slots=True)
class FileMapping:
    """Which column is which member, members that all rows have, and how to read times."""

    columns: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    utc: bool = False


@dataclass(frozen=True, slots=True)
class Mapped:
    """A part of a file as predictions, as truths, or as both; and the columns that are neither."""

    predictions: Batch | None
    truths: Batch | None
    ignored: Sequence[str]


def mapped(part: FilePart, mapping: FileMapping, row_id: str) -> Mapped:
    """Predictions and truths of a part of a file.

    Without a column of request ids, a row is identified by `row_id` and its position.

    Raises:
        InvalidInput: a column that is mapped is not there, or two are the same member.
    """
    members, truths, ignored = _members(part.batch, mapping)
    members = {
        name: _in_utc(column) if mapping.utc and name == "time" else _as_text(name, column)
        for name, column in members.items()
    }
    for name, value in mapping.defaults.items():
        if name not in members:
            members[name] = _constant(value, part.batch.num_rows)
    if "request_id" not in members and truths:
        members["request_id"] = pa.array([f"{row_id}-{at}" for at in part.index.tolist()])
    has_output = any(_is_output(name) for name in members)
    predictions = _batch(members, part, Prediction) if has_output or not truths else None
    unreadable = part.unreadable if predictions is None else ()
    return Mapped(
        predictions, _truths(members, truths, part, unreadable) if truths else None, ignored
    )


def _members(
    batch: pa.RecordBatch, mapping: FileMapping
) -> tuple[dict[str, pa.Array], dict[str, pa.Array], list[str]]:
    """Columns by member, the truth by its name, and the names of the other columns."""
    if missing := mapping.columns.keys() - set(batch.schema.names):
        raise InvalidInput(f"there is no column {min(missing)!r}")
    members: dict[str, pa.Array] = {}
    truths: dict[str, pa.Array] = {}
    ignored: list[str] = []
    for name, column in zip(batch.schema.names, batch, strict=True):
        member = mapping.columns.get(name, name)
        if member in TRUTH:
            if truths:
                raise InvalidInput("two columns are the truth: map one of them to another name")
            truths[member] = column
            continue
        known = _NAMES.get(member) or (member if member.startswith(_ENTRIES) else None)
        if known is None and name in mapping.columns:
            raise InvalidInput(f"{name} can't be {member}: there is no such member")
        if known is None:
            ignored.append(name)
        elif known in members:
            raise InvalidInput(f"two columns are {known}: map one of them to another name")
        else:
            members[known] = column
    return members, truths, ignored


_ENTRIES = tuple(ENTRY_PREFIXES.values())


def _is_output(member: str) -> bool:
    return member in OUTPUTS or member.startswith(ENTRY_PREFIXES["scores"])


def _batch(
    members: Mapping[str, pa.Array], part: FilePart, row_type: type[msgspec.Struct]
) -> Batch:
    batch = pa.RecordBatch.from_arrays(list(members.values()), names=list(members))
    layout = layout_of(list(members), row_type, texts=part.texts)
    return Batch(batch, layout, part.index, part.unreadable)


def _truths(
    members: Mapping[str, pa.Array],
    truths: Mapping[str, pa.Array],
    part: FilePart,
    unreadable: Sequence[RowError],
) -> Batch:
    """The truths of the rows that have one."""
    ((name, truth),) = truths.items()
    common = {name: members[name] for name in _COMMON if name in members}
    columns = common | {TRUTH[name] or _kind_of_truth(members, truth): truth}
    present = truth.is_valid()
    batch = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    index = part.index[np.asarray(present.to_numpy(zero_copy_only=False), bool)]
    layout = layout_of(list(columns), Feedback, texts=part.texts)
    return Batch(batch.filter(present), layout, index, unreadable)


def _kind_of_truth(members: Mapping[str, pa.Array], truth: pa.Array) -> str:
    if any(_is_output(name) for name in members):
        return "value" if "value" in members else "label"
    return "value" if pa.types.is_floating(truth.type) else "label"


def _constant(text: str, number: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(np.zeros(number, np.int8), [text])


def _as_text(name: str, column: pa.Array) -> pa.Array:
    """A column of names as texts: in files, ids and versions are often whole numbers."""
    if name in _TEXTS and pa.types.is_integer(column.type):
        return column.cast(pa.string())
    return column


def _in_utc(column: pa.Array) -> pa.Array:
    """Times without an offset as times in UTC."""
    if pa.types.is_timestamp(column.type) and column.type.tz is None:
        return pc.assume_timezone(column, "UTC")
    if pa.types.is_string(column.type):
        return pc.replace_substring_regex(column, _NAIVE, r"\1T\2Z")
    return column
