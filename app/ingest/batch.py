"""A batch: its verdict, and how a retry is recognized."""

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
    """What was done with the rows of a batch: `accepted` + `duplicates` is their number.

    `pending` is the number of accepted truths that wait for their prediction.
    """

    accepted: int
    duplicates: int
    pending: int = 0


@dataclass(frozen=True, slots=True)
class BatchKey:
    """Identifies a retry: the idempotency key of the client, and a digest of the batch."""

    endpoint: str
    key: str
    digest: bytes

    @classmethod
    def of(cls, endpoint: str, key: str, body: bytes) -> "BatchKey":
        """Make the key of a batch from its body."""
        return cls(endpoint, key, hashlib.sha256(body).digest())


def first_problem(index: int, problems: Mapping[str, str | None]) -> RowError | None:
    """The first error of a row, from reasons by field; None if all reasons are None."""
    return next((RowError(index, field, why) for field, why in problems.items() if why), None)


def reject_if_any(errors: Iterable[RowError | None]) -> None:
    """Reject the batch if a row has an error: a batch is stored whole or not at all.

    Raises:
        InvalidRows: with the first MAX_ROW_ERRORS errors.
    """
    row_errors = list(islice((error for error in errors if error), MAX_ROW_ERRORS))
    if row_errors:
        raise InvalidRows(row_errors)


def reserve_key(
    conn: Connection, workspace_id: int, batch: BatchKey, row_count: int
) -> Verdict | None:
    """Reserve the key of a batch, in the transaction that stores its rows.

    Returns None for a new batch, and the verdict of a retry for one that was stored before. A
    retry that races with the first attempt waits here until that has committed or failed.

    Raises:
        IdempotencyKeyReused: the key was used for different content.
    """
    parameters = {"workspace_id": workspace_id, "row_count": row_count, **_columns(batch)}
    if conn.execute(_RESERVE_KEY, parameters).first():
        return None
    return _stored_verdict(conn, parameters, batch)


def _columns(batch: BatchKey) -> dict[str, Any]:
    return {"endpoint": batch.endpoint, "key": batch.key, "digest": batch.digest}


def _stored_verdict(
    conn: Connection, parameters: dict[str, Any], batch: BatchKey
) -> Verdict | None:
    stored_key = conn.execute(_STORED_KEY, parameters).one_or_none()
    if stored_key is None:
        return None
    if bytes(stored_key.digest) != batch.digest:
        raise IdempotencyKeyReused("this Idempotency-Key was used for a different batch")
    return Verdict(accepted=0, duplicates=stored_key.row_count)


def reject_reused_key(database: Database, workspace_id: int, batch: BatchKey | None) -> None:
    """Check the key of a batch before anything in it is registered.

    Raises:
        IdempotencyKeyReused: the key was used for different content.
    """
    if batch:
        with database.reading() as conn:
            _stored_verdict(conn, {"workspace_id": workspace_id, **_columns(batch)}, batch)


def delete_old_batches(conn: Connection) -> int:
    """Delete keys after IDEMPOTENCY_DAYS, when no client retries any more; returns how many."""
    return conn.execute(_DELETE_OLD, {"days": IDEMPOTENCY_DAYS}).rowcount


_RESERVE_KEY = text("""
    INSERT INTO ingest_batch (workspace_id, endpoint, idempotency_key, digest, row_count)
    VALUES (:workspace_id, :endpoint, :key, :digest, :row_count)
    ON CONFLICT DO NOTHING
    RETURNING 1
""")
_STORED_KEY = text("""
    SELECT digest, row_count FROM ingest_batch
    WHERE workspace_id = :workspace_id AND endpoint = :endpoint AND idempotency_key = :key
""")
_DELETE_OLD = text("""
    DELETE FROM ingest_batch WHERE received_at < now() - make_interval(days => :days)
""")
