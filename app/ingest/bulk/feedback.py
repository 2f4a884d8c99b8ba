"""Truths by column, stored and joined: as `app/ingest/feedback.py` does it row by row."""

from collections.abc import Mapping

import numpy as np
from sqlalchemy import Connection, text

from app.ingest.batch import BatchKey, Verdict, reserve_key
from app.ingest.bulk.columns import NO_CODE, Integers, in_key_order
from app.ingest.bulk.predictions import text_column
from app.ingest.bulk.resolved import ResolvedTruths
from app.ingest.feedback import STAGED_COLUMNS, STORE
from app.ingest.joins import UNJOINED, lock_and_join
from app.ingest.models import recheck_kinds
from app.store.columns import Column, copy_columns, doubles, integers, uuids
from app.store.copy import create_staging
from app.store.database import Database
from app.store.request_keys import request_digests


def store_truths(
    database: Database, workspace_id: int, resolved: ResolvedTruths, batch: BatchKey | None
) -> Verdict:
    """Store resolved truths in a transaction, each joined with its prediction or pending.

    Raises:
        InvalidRows: a model has got a kind in the meantime, and its truth has a different one.
    """
    staged, number = _last_ones(resolved), len(resolved.columns)
    with database.writing() as conn:
        verdict = reserve_key(conn, workspace_id, batch, number) if batch else None
        repeated = verdict is not None
        if verdict is None:
            _stage(conn, staged)
            conn.exec_driver_sql(_MEMORY)
            conn.execute(_LOCK)
            recheck_kinds(conn, workspace_id, resolved.declared, resolved.models)
            joined, waiting = conn.execute(STORE).one()
            accepted = joined + waiting
            verdict = Verdict(accepted, duplicates=number - accepted, pending=waiting)
    if verdict.pending or repeated:
        _join_late(database, staged)
    return verdict


def _last_ones(resolved: ResolvedTruths) -> Mapping[str, Column]:
    """What STAGED_COLUMNS asks for: of several truths for one prediction the last."""
    columns = resolved.columns
    digests = np.frombuffer(request_digests(columns.request_id.encoded()), np.uint8).reshape(-1, 16)
    rows = _last_of_each(resolved.model_id, digests, columns.batch_index)
    label, value = resolved.label_id[rows], columns.value[rows]
    return {
        "model_id": integers(resolved.model_id[rows]),
        "key": uuids(digests[rows]),
        "batch_index": integers(columns.batch_index[rows]),
        "actual_label": integers(label, label != NO_CODE),
        "actual_value": doubles(value, ~np.isnan(value)),
        "request_id": text_column(columns.request_id.take(rows)),
    }


def _last_of_each(model_id: Integers, digests: np.ndarray, batch_index: Integers) -> Integers:
    """The rows whose truths count, in the order of their keys."""
    order, differs = in_key_order(model_id, digests, batch_index)
    last: Integers = order[np.append(differs[1:], True)[: len(order)]]
    return last


def _stage(conn: Connection, staged: Mapping[str, Column]) -> None:
    create_staging(conn, "staged_feedback", STAGED_COLUMNS)
    copy_columns(conn, "staged_feedback", staged)


def _join_late(database: Database, staged: Mapping[str, Column]) -> None:
    """Join predictions that were stored at the same moment: see `app/ingest/joins.py`."""
    with database.writing() as conn:
        _stage(conn, staged)
        found = conn.execute(_UNJOINED)
        if late := {(row.model_id, row.key): row.request_id for row in found}:
            lock_and_join(conn, late)


# For what a chunk of truths is joined with, which would go to disk otherwise.
_MEMORY = "SET LOCAL work_mem = '64MB'"
# As `lock_requests` of app/ingest/keys.py, of staged rows.
_LOCK = text("""
    SELECT truthline_data.own_requests(array_agg(model_id), array_agg(key)) FROM staged_feedback
""")
_UNJOINED = text(
    UNJOINED.format(columns="r.model_id, r.key, r.request_id", source="staged_feedback AS r")
)
