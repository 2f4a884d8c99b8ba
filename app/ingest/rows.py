"""Rows on arrival: JSON or NDJSON, parsed completely and strictly."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any, Generic, TypeVar

import msgspec

from app.errors import InvalidInput, RowError, TooLarge
from app.ingest.batch import reject_if_any
from app.ingest.fields import read_field
from app.ingest.strict_json import (
    LIGHT_BYTES,
    check_weight,
    count_outside_texts,
    cut_out,
    elements,
    evidently_distinct,
    reject_duplicate_members,
)
from app.ingest.validation_errors import UNREADABLE, rejection_of

LINES_PER_ROW = 10  # empty lines are allowed, but a body of only empty lines is no batch
OBJECTS_PER_ROW = 4  # the row, its scores, its tags, and as many detections in total as rows
Row = TypeVar("Row", bound=msgspec.Struct)
# Returns the error of the row at an index of its batch, or None.
Check = Callable[[int, Row], RowError | None]
Slim = Callable[[Row], Row]  # removes what isn't stored of a row


@dataclass(frozen=True, slots=True)
class _Batch(Generic[Row]):
    """Rows that are not parsed yet, in the body that contains them."""

    row_type: type[Row]
    check: Check[Row]
    body: bytes
    texts: Callable[[], Iterable[bytes]]  # starts again at the first row with each call
    slim: Slim[Row] | None
    members: int = 0  # number of members of the body, outside its rows
    check_outside: Callable[[], None] = lambda: None  # rejects duplicates among these members


def read_json(
    body: bytes,
    member: str,
    row_type: type[Row],
    check: Check[Row],
    max_rows: int,
    slim: Slim[Row] | None = None,
) -> list[Row]:
    """Rows of `{"<member>": [...]}`, all of type `row_type`.

    `check` finds other errors: if the schema rejects a row, the response lists all errors, and not
    only those of the first kind.

    Raises:
        InvalidInput: the body isn't JSON of this form.
        TooLarge: more than `max_rows` rows.
        InvalidRows: some rows are not of `row_type`, or have a duplicate member.
    """
    _check_objects(body, max_rows)
    raw_rows = _elements_of(body, member, max_rows)
    return _read(
        _Batch(
            row_type,
            check,
            body,
            texts=lambda: map(bytes, raw_rows),
            slim=slim,
            members=1,
            check_outside=lambda: _reject_duplicates_outside(body, member),
        )
    )


def read_ndjson(
    body: bytes,
    row_type: type[Row],
    check: Check[Row],
    max_rows: int,
    slim: Slim[Row] | None = None,
) -> list[Row]:
    """Rows of newline-delimited JSON; empty lines are ignored. `check` as in `read_json`.

    Raises:
        TooLarge: more than `max_rows` rows.
        InvalidRows: some rows are not of `row_type`, or have a duplicate member.
    """

    def lines() -> Iterator[bytes]:
        return (text for line in BytesIO(body) if (text := line.strip()))

    if body.count(b"\n") > LINES_PER_ROW * max_rows:  # before each is checked
        raise TooLarge(f"{_rule(max_rows)}; this one has far more lines")
    if (number := sum(1 for _ in lines())) > max_rows:
        raise TooLarge(f"{_rule(max_rows)}; this one has {number}")
    _check_objects(body, max_rows)
    return _read(_Batch(row_type, check, body, texts=lines, slim=slim))


def _rule(max_rows: int) -> str:
    return f"a batch may contain at most {max_rows} rows"


def _check_objects(body: bytes, max_rows: int) -> None:
    """Reject far too many rows or detections before any object is created.

    Raises:
        TooLarge: more objects than this number of rows can have.
    """
    limit = OBJECTS_PER_ROW * max_rows + 1
    if count_outside_texts(body, b"{", limit) > limit:
        raise TooLarge(f"{_rule(max_rows)}; this one has far more objects")


def _elements_of(body: bytes, member: str, max_rows: int) -> list[msgspec.Raw]:
    try:
        envelope: Any = msgspec.json.decode(body, type=_envelope(member))
    except UNREADABLE as error:
        field, reason = rejection_of(error)
        if field:
            reason = f'must be {{"{member}": [...]}} and have no other member'
        raise InvalidInput(f"the body {reason}") from None
    try:
        return elements(envelope.rows, max_rows, body=body, rule=_rule(max_rows))
    except UNREADABLE as error:
        field, reason = rejection_of(error)
        raise InvalidInput(f'"{member}"{field} {reason}') from None


@cache
def _envelope(member: str) -> type[msgspec.Struct]:
    """An object with one member, which is kept unparsed as `rows`."""
    return msgspec.defstruct(
        "Envelope", [("rows", msgspec.Raw)], rename={"rows": member}, forbid_unknown_fields=True
    )


def _reject_duplicates_outside(body: bytes, member: str) -> None:
    try:
        reject_duplicate_members(cut_out(body, member, b"0")[1])
    except UNREADABLE as error:
        field, reason = rejection_of(error)
        raise InvalidInput(f"{field or 'the body'} {reason}") from None


def _read(batch: _Batch[Row]) -> list[Row]:
    decoder = msgspec.json.Decoder(batch.row_type, dec_hook=read_field)
    try:
        rows = list(map(batch.slim or _unchanged, map(decoder.decode, _light(batch))))
    except UNREADABLE:
        reject_if_any(_problems(batch, decoder))
        raise  # not reached: at least that row has a problem
    if not rows:
        raise InvalidInput("the batch is empty")
    flat = batch.body.count(b"{") == len(rows) + batch.members
    if not evidently_distinct(batch.texts(), batch.body, members=batch.members, flat=flat):
        batch.check_outside()
        reject_if_any(_problems(batch, decoder))
    return rows


def _unchanged(row: Row) -> Row:
    return row


def _light(batch: _Batch[Row]) -> Iterator[bytes]:
    for text in batch.texts():
        if len(text) > LIGHT_BYTES:
            check_weight(text)
        yield text


def _problems(batch: _Batch[Row], decoder: msgspec.json.Decoder[Row]) -> Iterator[RowError | None]:
    for index, text in enumerate(_light(batch)):
        try:
            row = decoder.decode(text)
            reject_duplicate_members(text)
        except UNREADABLE as error:
            yield RowError(index, *rejection_of(error))
        else:
            yield batch.check(index, row)
