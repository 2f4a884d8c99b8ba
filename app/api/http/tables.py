"""Which form of a table a client gets, and what writes it."""

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
    try:
        from app.api.http import columnar  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        raise NotAcceptable(
            f"Arrow and Parquet need {error.name}: install the server with its extra, as"
            " truthline-server[bulk], or accept JSON, NDJSON or CSV."
        ) from error
    return columnar


def accepted(default: str, *others: str) -> str:
    """The media type that the client prefers; `default` if it names none of them."""
    return request.accept_mimetypes.best_match((default, *others), default) or default
