"""Read rows from pandas, polars and Arrow tables, or plain mappings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from truthline.errors import Unloggable
from truthline.extras import extra

# Number of rows converted to Python objects at a time.
_CHUNK = 10_000


def rows_of(table: Any) -> Iterator[Mapping[str, Any]]:
    """Iterate over rows as mappings, lazily; missing values are those of the library.

    Raises:
        TypeError: the type of the table is not supported.
        Unloggable: two columns have the same name.
    """
    if hasattr(table, "iter_rows"):  # polars
        return iter(table.iter_rows(named=True))
    if hasattr(table, "iloc") and hasattr(table, "columns"):  # pandas
        return _of_pandas(table)
    if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__"):
        return _of_arrow(table)
    if isinstance(table, Iterable) and not isinstance(table, str | bytes | Mapping):
        return iter(table)
    raise TypeError(
        f"{type(table).__name__} is not a table: pass a pandas or polars DataFrame, an Arrow table,"
        " or rows as mappings"
    )


def _of_pandas(frame: Any) -> Iterator[Mapping[str, Any]]:
    """Iterate over the columns and the named levels of the index."""
    _refuse_twins(list(frame.columns))
    for start in range(0, len(frame), _CHUNK):
        chunk = _with_index(frame.iloc[start : start + _CHUNK])
        yield from chunk.astype(object).to_dict("records")


def _with_index(frame: Any) -> Any:
    """Return a frame whose columns include the named levels of its index.

    Raises:
        Unloggable: a level has the name of a column with different values.
    """
    levels = [name for name in frame.index.names if name is not None]
    both = [name for name in levels if name in frame.columns]  # after `set_index(drop=False)`
    for name in both:
        if not frame.index.get_level_values(name).equals(frame.set_index(name).index):
            raise Unloggable(f"the index and a column are named {name}, and differ")
    return frame.reset_index([name for name in levels if name not in both]) if levels else frame


def _of_arrow(table: Any) -> Iterator[Mapping[str, Any]]:
    """Iterate over any object with Arrow's C interface, including pyarrow tables."""
    pyarrow = extra("pyarrow", "arrow")
    stream = hasattr(table, "__arrow_c_stream__")
    batches = (
        pyarrow.RecordBatchReader.from_stream(table) if stream else [pyarrow.record_batch(table)]
    )
    for batch in batches:
        _refuse_twins(batch.schema.names)
        for start in range(0, batch.num_rows, _CHUNK):
            yield from _in_microseconds(batch.slice(start, _CHUNK)).to_pylist()


def _in_microseconds(batch: Any) -> Any:
    """Truncate nanoseconds: without pandas, pyarrow can't convert them to objects."""
    pyarrow = extra("pyarrow", "arrow")
    types = [_coarser(pyarrow, column.type) for column in batch.columns]
    columns = [
        column if type_ is None else column.cast(type_, safe=False)
        for column, type_ in zip(batch.columns, types, strict=True)
    ]
    return pyarrow.record_batch(columns, names=batch.schema.names)


def _coarser(pyarrow: Any, type_: Any) -> Any:
    """Return the type in microseconds of times and durations in nanoseconds; None of others."""
    if pyarrow.types.is_timestamp(type_) and type_.unit == "ns":
        return pyarrow.timestamp("us", type_.tz)
    if pyarrow.types.is_duration(type_) and type_.unit == "ns":
        return pyarrow.duration("us")
    return None


def _refuse_twins(names: Sequence[Any]) -> None:
    """Reject columns with the same name: a mapping would hold only the last."""
    for name in names:
        if names.count(name) > 1:
            raise Unloggable(f"two columns are named {name}")
