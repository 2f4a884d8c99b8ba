"""Step metrics: what an execution records of itself, as a scalar or as a list that grows."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import text

from app.errors import ListFull, TooLarge
from app.ingest.batch import BatchKey, claim, refuse_reused
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
    """Record a scalar of an execution: the last value stands, the others are its history.

    What comes again under the key of a `batch` was recorded, and changes nothing.

    Raises:
        IdempotencyKeyReused: the key was used for other content.
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
    """Append to a list of an execution, all values or none, beside each other.

    Lists grow in the order in which their appends are decided, one after the other. What comes
    again under the key of a `batch` was appended, and changes nothing. Nothing to append is nothing
    done, and uses up no key.

    Raises:
        TooLarge: more values than a list may have.
        ListFull: too many beside those that are stored; none was.
        IdempotencyKeyReused: the key was used for other content.
    """
    if len(values) > MAX_LIST_LENGTH:
        raise TooLarge(f"a list may hold at most {MAX_LIST_LENGTH} values per execution")
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
    refuse_reused(database, workspace_id, batch)
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
        if batch and claim(conn, workspace_id, batch, len(values)):
            return
        if conn.execute(_RECORD, row).first() is None:
            stored = conn.execute(_STORED, row).scalar_one()
            raise ListFull(
                f"the list holds {stored} values, and {len(values)} more would be over the limit of"
                f" {MAX_LIST_LENGTH} per execution; none of them was stored"
            )


def _array(values: Sequence[float]) -> str:
    """As PostgreSQL writes an array; a driver that goes through it takes ten times as long."""
    return "{" + msgspec.json.encode(values)[1:-1].decode() + "}"


# The row of the metric is locked until the commit: recordings of one metric go one by one, each
# with a later clock than the one before, even where the server's clock was set back.
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
