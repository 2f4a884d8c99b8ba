"""Tables of many kinds as rows: pandas, polars, Arrow, or plain mappings."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from truthline.extras import extra

# So many rows of a frame are turned into Python's objects at once.
_CHUNK = 10_000


def rows_of(table: Any) -> Iterator[Mapping[str, Any]]:
    """The rows of a table, a mapping each, lazily; what is missing in it is None or absent.

    Raises:
        TypeError: it is no table that is known here.
    """
    if hasattr(table, "iter_rows"):  # polars
        return iter(table.iter_rows(named=True))
    if hasattr(table, "iloc"):  # pandas
        return _of_pandas(table)
    if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__"):
        return _of_arrow(table)
    if isinstance(table, Iterable) and not isinstance(table, str | bytes | Mapping):
        return iter(table)
    raise TypeError(
        f"a {type(table).__name__} is no table: give a DataFrame of pandas or polars, an Arrow"
        " table, or rows as mappings"
    )


def _of_pandas(frame: Any) -> Iterator[Mapping[str, Any]]:
    for start in range(0, len(frame), _CHUNK):
        chunk = frame.iloc[start : start + _CHUNK]
        present = chunk.astype(object).where(chunk.notna(), None)
        yield from present.to_dict("records")


def _of_arrow(table: Any) -> Iterator[Mapping[str, Any]]:
    """Whatever lends itself by Arrow's C interface, pyarrow's own tables included."""
    pyarrow = extra("pyarrow", "arrow")
    stream = hasattr(table, "__arrow_c_stream__")
    batches = (
        pyarrow.RecordBatchReader.from_stream(table) if stream else [pyarrow.record_batch(table)]
    )
    for batch in batches:
        for start in range(0, batch.num_rows, _CHUNK):
            yield from batch.slice(start, _CHUNK).to_pylist()
