"""Which form of a table a client gets, and what writes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import request
from werkzeug.exceptions import NotAcceptable

from app.api.http.columns import ARROW, CSV, NDJSON, Write, write_csv, write_ndjson


def writer_of(media_type: str) -> Write:
    """What writes tables of this type.

    Raises:
        NotAcceptable: it needs pyarrow, which isn't installed.
    """
    if media_type == NDJSON:
        return write_ndjson
    if media_type == CSV:
        return write_csv
    columnar = columnar_module()
    write: Write = columnar.write_arrow if media_type == ARROW else columnar.write_parquet
    return write


def columnar_module() -> Any:
    """`columnar.py`, which imports pyarrow: too large for those who never ask for it.

    Raises:
        NotAcceptable: pyarrow isn't installed.
    """
    with _needing_pyarrow():
        from app.api.http import columnar  # noqa: PLC0415 - see above
    return columnar


def bucket_tables_module() -> Any:
    """`bucket_tables.py`, likewise.

    Raises:
        NotAcceptable: pyarrow isn't installed.
    """
    with _needing_pyarrow():
        from app.api.http import bucket_tables  # noqa: PLC0415 - see above
    return bucket_tables


@contextmanager
def _needing_pyarrow() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise NotAcceptable(
            f"Arrow and Parquet need {error.name}: install the server with its extra, as"
            " truthline-server[bulk], or accept another media type."
        ) from error


def accepted(default: str, *others: str) -> str:
    """The media type that the client prefers; `default` if it names none of them."""
    return request.accept_mimetypes.best_match((default, *others), default) or default
