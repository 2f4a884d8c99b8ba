"""Columns of Arrow as arrays of numpy, and the distinct values of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from app.ingest.bulk.columns import NO_CODE, Coded, Flags, Integers, Texts

_MANY = 2**40  # combinations of values that one integer numbers


def distinct(column: pa.Array) -> Coded:
    """A column by its distinct values, as Python has them.

    Raises:
        ArrowNotImplementedError: its values can't be compared.
        TypeError: likewise, in Python.
    """
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    codes = column.indices.cast(pa.int64()).fill_null(NO_CODE)
    values = column.dictionary.to_pylist()
    coded = Coded(np.asarray(codes, np.int64), values)
    if None in values:
        coded = Coded(np.where(coded.where(lambda v: v is None), NO_CODE, coded.codes), values)
    hash(tuple(values))
    return coded


def combinations(columns: Sequence[Coded]) -> tuple[Integers, Integers]:
    """A code for each combination of values, and the first row of each."""
    number = len(columns[0].codes)
    combined, size = np.zeros(number, np.int64), 1
    for column in columns:
        options = len(column.values) + 1
        if size * options > _MANY:
            combined = np.unique(combined, return_inverse=True)[1].reshape(-1)
            size = number + 1
        if len(column.values) > 1 or (column.codes == NO_CODE).any():
            combined = combined * options + column.codes + 1
            size *= options
    if not number or (combined == combined[0]).all():
        return np.zeros(number, np.int64), np.zeros(min(1, number), np.int64)
    _, first, codes = np.unique(combined, return_index=True, return_inverse=True)
    return codes.reshape(-1), first


def has_value(column: Coded, place: int) -> bool:
    """Whether there is a value at this place."""
    return bool(column.codes[place] != NO_CODE)


def value_at(column: Coded, place: int, absent: Any = "") -> Any:
    """The value at this place."""
    code = column.codes[place]
    return absent if code == NO_CODE else column.values[code]


def flags_of(booleans: pa.Array) -> Flags:
    """A column of booleans without nulls."""
    return np.asarray(booleans.to_numpy(zero_copy_only=False), bool)


def texts_of(column: pa.StringArray) -> Texts:
    """A string column, whose buffers are shared."""
    _, offsets, content = column.buffers()
    bounds = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    first, last = int(bounds[0]), int(bounds[-1])
    octets = np.frombuffer(content, np.uint8)[first:last] if content else np.empty(0, np.uint8)
    present = flags_of(column.is_valid())
    texts = Texts(octets, bounds.astype(np.int64) - first, present)
    hidden = np.diff(texts.offsets)[~present].any()  # a null may have bytes
    return Texts.of(column.to_pylist()) if hidden else texts


def common_keys(column: pa.Array) -> tuple[str, ...] | None:
    """The keys of all maps, if they have the same in the same order."""
    if not pa.types.is_map(column.type) or not pa.types.is_string(column.type.key_type):
        return None
    sizes, present = np.diff(_bounds(column)), flags_of(column.is_valid())
    lengths = np.unique(sizes[present])
    if len(lengths) != 1 or lengths[0] == 0 or sizes[~present].any():
        return None
    coded = distinct(_keys(column))
    table = coded.codes.reshape(-1, int(lengths[0]))
    if (table != table[0]).any() or len(set(table[0])) < len(table[0]):
        return None
    return tuple(coded.values[code] for code in table[0])


def _bounds(column: pa.MapArray) -> Integers:
    return np.asarray(column.offsets, np.int64)


def _keys(column: pa.MapArray) -> pa.Array:
    bounds = _bounds(column)
    return column.keys[bounds[0] : bounds[-1]]


def items_of(column: pa.MapArray) -> pa.Array:
    """The values of all maps, in their order."""
    bounds = _bounds(column)
    return column.items[bounds[0] : bounds[-1]]
