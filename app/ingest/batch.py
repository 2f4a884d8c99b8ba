"""A batch: how it is read, how its rows are judged, and how a repeated one is recognised."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import msgspec
from sqlalchemy import Connection, text

from app.errors import IdempotencyKeyReused, InvalidInput, InvalidRows, RowError, TooLarge

MAX_REPORTED_ERRORS = 100
IDEMPOTENCY_DAYS = 3

Row = TypeVar("Row", bound=msgspec.Struct)
# What msgspec raises: also for text that isn't UTF-8, and for a million brackets.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# What is wrong with the row at an index of its batch, or None.
Check = Callable[[int, Row], RowError | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a batch, in rows: `accepted` + `duplicates` is all of them.

    `pending` counts those among the accepted that wait for their prediction.
    """

    accepted: int
    duplicates: int
    pending: int = 0


@dataclass(frozen=True, slots=True)
class BatchKey:
    """What a client says so that a retry is recognised: its key, and what the batch held."""

    endpoint: str
    key: str
    digest: bytes

    @classmethod
    def of(cls, endpoint: str, key: str, body: bytes) -> "BatchKey":
        """Make the key of a batch from its body."""
        return cls(endpoint, key, hashlib.sha256(body).digest())


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
        raise InvalidInput(f"the body is not a JSON object: {_as_clause(why(error))}") from None
    if set(envelope) != {member}:
        raise InvalidInput(f'the body must be {{"{member}": [...]}} and have no other member')
    try:
        raw_rows = msgspec.json.decode(envelope[member], type=list[msgspec.Raw])
    except UNREADABLE as error:
        raise InvalidInput(f'"{member}" is not a JSON array: {_as_clause(why(error))}') from None
    return _decode_rows(raw_rows, row_type, check, max_rows)


def read_ndjson(body: bytes, row_type: type[Row], check: Check[Row], max_rows: int) -> list[Row]:
    """Rows of newline-delimited JSON; empty lines don't count. `check` as in `read_json`.

    Raises:
        TooLarge: more than `max_rows` rows.
        InvalidRows: some rows are not of `row_type`.
    """
    lines = [line for line in body.split(b"\n") if line.strip()]
    return _decode_rows(lines, row_type, check, max_rows)


def why(error: Exception) -> str:
    """What one of UNREADABLE says, in words for whoever sent the JSON."""
    if isinstance(error, UnicodeDecodeError):
        return "Text is not UTF-8"
    if isinstance(error, RecursionError):
        return "Nested too deeply"
    return str(error)


def refuse_if_any(errors: Iterable[RowError | None]) -> None:
    """All or nothing: one bad row refuses the batch.

    Raises:
        InvalidRows: with the first MAX_REPORTED_ERRORS of them.
    """
    found = list(islice((error for error in errors if error), MAX_REPORTED_ERRORS))
    if found:
        raise InvalidRows(found)


def claim(conn: Connection, workspace_id: int, batch: BatchKey, row_count: int) -> Verdict | None:
    """Take a batch's key within the transaction that stores its rows.

    Returns None for a new batch, and the verdict to repeat for one already taken. A retry that
    races with the first attempt waits here until that one has committed or failed.

    Raises:
        IdempotencyKeyReused: the key was used for other content.
    """
    parameters = {
        "workspace_id": workspace_id,
        "endpoint": batch.endpoint,
        "key": batch.key,
        "digest": batch.digest,
        "row_count": row_count,
    }
    if conn.execute(_CLAIM, parameters).first():
        return None
    taken = conn.execute(_TAKEN, parameters).one()
    if bytes(taken.digest) != batch.digest:
        raise IdempotencyKeyReused("this Idempotency-Key was used for a different batch")
    return Verdict(accepted=0, duplicates=taken.row_count)


def forget_old_batches(conn: Connection) -> int:
    """Forget keys after IDEMPOTENCY_DAYS, when no client retries any more; returns how many."""
    return conn.execute(_FORGET_OLD, {"days": IDEMPOTENCY_DAYS}).rowcount


_CLAIM = text("""
    INSERT INTO ingest_batch (workspace_id, endpoint, idempotency_key, digest, row_count)
    VALUES (:workspace_id, :endpoint, :key, :digest, :row_count)
    ON CONFLICT DO NOTHING
    RETURNING 1
""")
_TAKEN = text("""
    SELECT digest, row_count FROM ingest_batch
    WHERE workspace_id = :workspace_id AND endpoint = :endpoint AND idempotency_key = :key
""")
_FORGET_OLD = text("""
    DELETE FROM ingest_batch WHERE received_at < now() - make_interval(days => :days)
""")


def _decode_rows(
    raw_rows: Sequence[msgspec.Raw | bytes], row_type: type[Row], check: Check[Row], max_rows: int
) -> list[Row]:
    if not raw_rows:
        raise InvalidInput("the batch is empty")
    if len(raw_rows) > max_rows:
        raise TooLarge(f"a batch may hold {max_rows} rows; this one has {len(raw_rows)}")
    decoder = msgspec.json.Decoder(row_type)
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
            yield _row_error(index, error)
        else:
            yield check(index, row)


_AT_PATH = re.compile(
    r"^(?P<reason>.*?)(?: - at (?:`key` in )?`\$\.?(?P<path>[^`]*)`)?$", re.DOTALL
)
_MISSING = re.compile(r"^Object missing required field `(?P<field>[^`]*)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<field>[^`]*)`$")


def _row_error(index: int, error: Exception) -> RowError:
    """Turn msgspec's "Expected `int`, got `str` - at `$.batchIndex`" into field and reason."""
    reason, path = _AT_PATH.match(why(error)).groups()  # type: ignore[union-attr] # matches all
    if missing := _MISSING.match(reason):
        return RowError(index, _join(path, missing["field"]), "is required")
    if unknown := _UNKNOWN.match(reason):
        return RowError(index, _join(path, unknown["field"]), "is not a known field")
    return RowError(index, path or "", _as_clause(reason))


def _join(path: str | None, field: str) -> str:
    return f"{path}.{field}" if path else field


def _as_clause(reason: str) -> str:
    """Lower the first letter, to go on a sentence; but JSON stays JSON."""
    return reason if reason[1:2].isupper() else reason[:1].lower() + reason[1:]
