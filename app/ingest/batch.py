"""A batch: the verdict on it, and how a repeated one is recognised."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, text

from app.errors import MAX_ROW_ERRORS, IdempotencyKeyReused, InvalidRows, RowError
from app.store.database import Database

IDEMPOTENCY_DAYS = 3


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


def first_problem(index: int, problems: Mapping[str, str | None]) -> RowError | None:
    """The first thing that is wrong with a row, of reasons by field; None where all are None."""
    return next((RowError(index, field, why) for field, why in problems.items() if why), None)


def refuse_if_any(errors: Iterable[RowError | None]) -> None:
    """All or nothing: one bad row refuses the batch.

    Raises:
        InvalidRows: with the first MAX_ROW_ERRORS of them.
    """
    found = list(islice((error for error in errors if error), MAX_ROW_ERRORS))
    if found:
        raise InvalidRows(found)


def claim(conn: Connection, workspace_id: int, batch: BatchKey, row_count: int) -> Verdict | None:
    """Take a batch's key within the transaction that stores its rows.

    Returns None for a new batch, and the verdict to repeat for one already taken. A retry that
    races with the first attempt waits here until that one has committed or failed.

    Raises:
        IdempotencyKeyReused: the key was used for other content.
    """
    parameters = {"workspace_id": workspace_id, "row_count": row_count, **_columns(batch)}
    if conn.execute(_CLAIM, parameters).first():
        return None
    return _verdict_of_taken(conn, parameters, batch)


def _columns(batch: BatchKey) -> dict[str, Any]:
    return {"endpoint": batch.endpoint, "key": batch.key, "digest": batch.digest}


def _verdict_of_taken(
    conn: Connection, parameters: dict[str, Any], batch: BatchKey
) -> Verdict | None:
    taken = conn.execute(_TAKEN, parameters).one_or_none()
    if taken is None:
        return None
    if bytes(taken.digest) != batch.digest:
        raise IdempotencyKeyReused("this Idempotency-Key was used for a different batch")
    return Verdict(accepted=0, duplicates=taken.row_count)


def refuse_reused(database: Database, workspace_id: int, batch: BatchKey | None) -> None:
    """Look at a batch's key before anything of it is registered.

    Raises:
        IdempotencyKeyReused: the key was used for other content.
    """
    if batch:
        with database.reading() as conn:
            _verdict_of_taken(conn, {"workspace_id": workspace_id, **_columns(batch)}, batch)


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
