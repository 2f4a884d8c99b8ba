"""Step metrics: what an execution records about itself, as a scalar or as a list that grows."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import text

from app.errors import ListFull, TooLarge
from app.ingest.batch import BatchKey, reject_reused_key, reserve_key
from app.store.database import Database

MAX_LIST_LENGTH = 50_000


def record_value(
    database: Database,
    workspace_id: int,
    *,
    execution: str,
    name: str,
    value: float,
    batch: BatchKey | None = None,
) -> None:
    """Record a scalar of an execution: the last value counts, the others are its history.

    A retry, recognized by the key of `batch`, changes nothing.

    Raises:
        IdempotencyKeyReused: the key was used for different content.
    """
    _record(database, workspace_id, execution, name, [value], batch, is_list=False)


def append_values(
    database: Database,
    workspace_id: int,
    *,
    execution: str,
    name: str,
    values: Sequence[float],
    batch: BatchKey | None = None,
) -> None:
    """Append to a list of an execution: all values or none, next to each other.

    Concurrent appends to a list happen one at a time. A retry, recognized by the key of `batch`,
    changes nothing. An append without values does nothing and reserves no key.

    Raises:
        TooLarge: more values than a list may have.
        ListFull: too many in addition to those that are stored; none was stored.
        IdempotencyKeyReused: the key was used for different content.
    """
    if len(values) > MAX_LIST_LENGTH:
        raise TooLarge(f"a list may contain at most {MAX_LIST_LENGTH} values per execution")
    if values:
        _record(database, workspace_id, execution, name, values, batch, is_list=True)


def _record(
    database: Database,
    workspace_id: int,
    execution: str,
    name: str,
    values: Sequence[float],
    batch: BatchKey | None,
    *,
    is_list: bool,
) -> None:
    reject_reused_key(database, workspace_id, batch)
    row = {
        "workspace_id": workspace_id,
        "execution_id": database.steps.register_execution(workspace_id, execution),
        "name_id": database.steps.register_name(workspace_id, name),
        "is_list": is_list,
        "values": _array(values),
        "n": len(values),
        "value": values[-1],
        "limit": MAX_LIST_LENGTH if is_list else None,
    }
    with database.writing() as conn:
        if batch and reserve_key(conn, workspace_id, batch, len(values)):
            return
        if conn.execute(_RECORD, row).first() is None:
            stored = conn.execute(_STORED, row).scalar_one()
            raise ListFull(
                f"the list has {stored} values, and {len(values)} more would exceed the limit of"
                f" {MAX_LIST_LENGTH} per execution; none of them was stored"
            )


def _array(values: Sequence[float]) -> str:
    """A PostgreSQL array as text: its adaptation by the driver takes ten times as long."""
    return "{" + msgspec.json.encode(values)[1:-1].decode() + "}"


# The row of the metric is locked until the commit: recordings of a metric happen one at a time,
# each with a later time than the one before, even if the server's clock was set back.
_RECORD = text("""
    WITH metric AS (
        INSERT INTO step_metric AS known
            (workspace_id, execution_id, name_id, is_list, n_values, value)
        VALUES (:workspace_id, :execution_id, :name_id, :is_list, :n, :value)
        ON CONFLICT (execution_id, name_id, is_list) DO UPDATE
        SET n_values = known.n_values + EXCLUDED.n_values, value = EXCLUDED.value,
            received_at = greatest(clock_timestamp(), known.received_at + INTERVAL '1 microsecond')
        WHERE (known.n_values + EXCLUDED.n_values <= CAST(:limit AS bigint)) IS NOT FALSE
        RETURNING id, n_values, received_at
    )
    INSERT INTO step_batch (received_at, metric_id, place, values)
    SELECT received_at, id, n_values - :n + 1, CAST(:values AS float8[]) FROM metric
    RETURNING place
""")
_STORED = text("""
    SELECT n_values FROM step_metric
    WHERE execution_id = :execution_id AND name_id = :name_id AND is_list = :is_list
""")
