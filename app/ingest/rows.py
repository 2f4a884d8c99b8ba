"""Rows as they arrive: JSON or NDJSON, read whole and strictly."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec

from app.errors import InvalidInput, RowError, TooLarge
from app.ingest.batch import refuse_if_any
from app.ingest.fields import read_field
from app.ingest.wording import UNREADABLE, in_words

LINES_PER_ROW = 10  # empty lines are allowed, and a body of nothing else is none
Row = TypeVar("Row", bound=msgspec.Struct)
# What is wrong with the row at an index of its batch, or None.
Check = Callable[[int, Row], RowError | None]


def read_json(
    body: bytes, member: str, row_type: type[Row], check: Check[Row], max_rows: int
) -> list[Row]:
    """Rows of `{"<member>": [...]}`, all of them of `row_type`.

    `check` finds what else is wrong: where rows are refused for their form, it lets the answer
    name all that has to be mended, not only the first kind of mistake.

    Raises:
        InvalidInput: the body isn't JSON of this form.
        TooLarge: more than `max_rows` rows.
        InvalidRows: some rows are not of `row_type`.
    """
    try:
        envelope = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except UNREADABLE as error:
        raise InvalidInput(f"the body {in_words(error).reason}") from None
    if set(envelope) != {member}:
        raise InvalidInput(f'the body must be {{"{member}": [...]}} and have no other member')
    try:
        raw_rows = msgspec.json.decode(envelope[member], type=list[msgspec.Raw])
    except UNREADABLE as error:
        raise InvalidInput(f'"{member}" {in_words(error).reason}') from None
    return _decode_rows(raw_rows, row_type, check, max_rows)


def read_ndjson(body: bytes, row_type: type[Row], check: Check[Row], max_rows: int) -> list[Row]:
    """Rows of newline-delimited JSON; empty lines don't count. `check` as in `read_json`.

    Raises:
        TooLarge: more than `max_rows` rows.
        InvalidRows: some rows are not of `row_type`.
    """
    if body.count(b"\n") > LINES_PER_ROW * max_rows:  # before there is a list of them
        raise TooLarge(f"a batch may hold at most {max_rows} rows; this one has far more lines")
    lines = [line for line in body.split(b"\n") if line.strip()]
    return _decode_rows(lines, row_type, check, max_rows)


def _decode_rows(
    raw_rows: Sequence[msgspec.Raw | bytes], row_type: type[Row], check: Check[Row], max_rows: int
) -> list[Row]:
    if not raw_rows:
        raise InvalidInput("the batch is empty")
    if len(raw_rows) > max_rows:
        raise TooLarge(f"a batch may hold at most {max_rows} rows; this one has {len(raw_rows)}")
    decoder = msgspec.json.Decoder(row_type, dec_hook=read_field)
    try:
        return [decoder.decode(raw) for raw in raw_rows]
    except UNREADABLE:
        refuse_if_any(_problems(raw_rows, decoder, check))
        raise  # not reached: at least that row has a problem


def _problems(
    raw_rows: Sequence[msgspec.Raw | bytes], decoder: msgspec.json.Decoder[Row], check: Check[Row]
) -> Iterator[RowError | None]:
    for index, raw in enumerate(raw_rows):
        try:
            row = decoder.decode(raw)
        except UNREADABLE as error:
            yield RowError(index, *in_words(error))
        else:
            yield check(index, row)
