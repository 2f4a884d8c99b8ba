"""Tables by column: as Arrow, whose rows the server stores exactly as if each was sent as JSON.

Only columns for which that is certain are taken: types that the rule of their field (`values.py`)
turns into the same value for every row. Any other table is sent row by row, which names what is
wrong with it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from truthline.batch import ArrowBatch
from truthline.extras import extra

_TAG = "tag_"
# Null in a column of these is an absent member; of others, the row way names the row.
_MAY_BE_NULL = {"confidence", "latencySeconds"}
_OUTPUTS = ("label", "value")
Convert = Callable[[Any, Any], Any]


class NotPlain(Exception):
    """The table has something for which there is no rule by column."""


def batches_of(
    table: Any, names: Mapping[str, str], shared: Mapping[str, Any], size: int
) -> Iterator[ArrowBatch]:
    """Return batches of `size` rows each.

    `names` are the names on the wire of all names of columns; `shared` are members of all rows.

    Raises:
        NotPlain: the table must be sent row by row.
    """
    pyarrow = extra("pyarrow", "arrow")
    plain = _plain(pyarrow, _as_arrow(pyarrow, table), names, shared)
    starts = range(0, plain.num_rows, size)
    return (ArrowBatch(plain.slice(start, size).combine_chunks()) for start in starts)


def rows_in(table: Any) -> int:
    """Return the number of rows of a table of pandas, polars or Arrow; 0 of anything else."""
    if not (hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__")):
        return 0
    try:
        return len(table)
    except TypeError:
        return 0


def _as_arrow(pyarrow: Any, table: Any) -> Any:
    if hasattr(table, "iloc"):
        if any(name is not None for name in table.index.names):
            raise NotPlain
        if not all(isinstance(name, str) for name in table.columns):
            raise NotPlain
        return _tried(pyarrow, lambda: pyarrow.Table.from_pandas(table, preserve_index=False))
    return _tried(pyarrow, lambda: pyarrow.table(table))


def _tried(pyarrow: Any, convert: Callable[[], Any]) -> Any:
    try:
        return convert()
    except (pyarrow.ArrowException, TypeError, ValueError) as error:
        raise NotPlain from error


def _plain(pyarrow: Any, table: Any, names: Mapping[str, str], shared: Mapping[str, Any]) -> Any:
    columns: dict[str, Any] = {}
    for name, column in zip(table.schema.names, table.columns, strict=True):
        if name.startswith(_TAG) and "tags" in names:
            member, made = name, _as_text(pyarrow, column)
        else:
            member = names.get(name, "")
            made = _column(pyarrow, member, column)
        if member in columns:
            raise NotPlain
        columns[member] = made
    for member, value in shared.items():
        if not isinstance(value, (str, int, float)):
            raise NotPlain
        columns.setdefault(member, pyarrow.repeat(pyarrow.scalar(value), table.num_rows))
    if sum(name in columns for name in _OUTPUTS) != 1:
        raise NotPlain
    return pyarrow.table(columns)


def _column(pyarrow: Any, member: str, column: Any) -> Any:
    convert = _CONVERTS.get(member)
    if convert is None or (column.null_count and member not in _MAY_BE_NULL):
        raise NotPlain
    return _tried(pyarrow, lambda: convert(pyarrow, column))


def _as_text(pyarrow: Any, column: Any) -> Any:
    """Texts, and whole numbers with their digits."""
    types = pyarrow.types
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    type_ = column.type
    if types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_):
        return column.cast(pyarrow.string())
    if types.is_integer(type_):
        return column.cast(pyarrow.string())
    raise NotPlain


def _as_double(pyarrow: Any, column: Any) -> Any:
    """Finite numbers."""
    types = pyarrow.types
    is_double = types.is_float32(column.type) or types.is_float64(column.type)
    if not (is_double or types.is_integer(column.type)):
        raise NotPlain
    numbers = column.cast(pyarrow.float64())
    compute = extra("pyarrow.compute", "arrow")
    if not compute.all(compute.is_finite(numbers), min_count=0).as_py():
        raise NotPlain
    return numbers


def _as_time(pyarrow: Any, column: Any) -> Any:
    """Moments, truncated to microseconds."""
    if not pyarrow.types.is_timestamp(column.type) or column.type.tz is None:
        raise NotPlain
    compute = extra("pyarrow.compute", "arrow")
    if (column.null_count or not len(column)) or compute.min(column).value < 0:
        raise NotPlain  # before 1970, where truncating is not rounding down
    return column.cast(pyarrow.timestamp("us", column.type.tz), safe=False).cast(
        pyarrow.timestamp("us", "UTC")
    )


def _as_whole(pyarrow: Any, column: Any) -> Any:
    if not pyarrow.types.is_integer(column.type):
        raise NotPlain
    return column.cast(pyarrow.int64())


def _as_flag(pyarrow: Any, column: Any) -> Any:
    if not pyarrow.types.is_boolean(column.type):
        raise NotPlain
    return column


_CONVERTS: Mapping[str, Convert] = {
    **dict.fromkeys(("model", "namespace", "pipeline", "requestId", "label"), _as_text),
    **dict.fromkeys(("deployment", "version", "deploymentType", "serverVersion"), _as_text),
    **dict.fromkeys(("value", "confidence", "latencySeconds"), _as_double),
    "time": _as_time,
    "batchIndex": _as_whole,
    "error": _as_flag,
}
