"""Truths by column, stored and joined: as `app/ingest/feedback.py` does it row by row."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from sqlalchemy import Connection, text

from app.ingest.batch import BatchKey, Verdict, reserve_key
from app.ingest.bulk.columns import NO_CODE, Integers, in_key_order
from app.ingest.bulk.predictions import text_column
from app.ingest.bulk.resolved import ResolvedTruths
from app.ingest.feedback import STAGED_COLUMNS, lock_staged, store_staged
from app.ingest.joins import UNJOINED, lock_and_join
from app.ingest.models import recheck_kinds
from app.ingest.stored_truths import directly_or_owned, learn_stored
from app.store.columns import Column, copy_columns, doubles, integers, uuids
from app.store.copy import create_staging
from app.store.database import Database
from app.store.request_keys import request_digests

# The columns of STAGED_COLUMNS.
Staged = Mapping[str, Column]
# PostgreSQL stores a changed row in the page of the old one if there is room: 15 % of it, which the
# next transaction can use again. In one transaction, the truths of all predictions of a page don't
# fit: then each takes another row in another page, and an entry of the index.
PART_ROWS = 6_000


def store_truths(
    database: Database, workspace_id: int, resolved: ResolvedTruths, batch: BatchKey | None
) -> Verdict:
    """Store resolved truths, each joined with its prediction or pending.

    Each of some parts is a transaction. A repeated batch stores those that are missing.

    Raises:
        InvalidRows: a model has got a kind in the meantime, and its truth has a different one.
    """
    staged = _last_ones(resolved)
    verdicts = [
        _store_part(database, workspace_id, resolved, part, _key_of(batch, nth))
        for nth, part in enumerate(_parts(staged))
    ]
    accepted = sum(verdict.accepted for verdict in verdicts)
    waiting = sum(verdict.pending for verdict in verdicts)
    return Verdict(accepted, duplicates=len(resolved.columns) - accepted, pending=waiting)


def _parts(staged: Staged) -> Iterator[Staged]:
    """The truths in parts of about the same size, each in the order of the keys.

    A part has some rows of each page of the keys, whatever order their predictions came in.
    """
    keys = staged["key"].rows(16)
    number = max(1, round(len(keys) / PART_ROWS))
    part_of = keys[:, -1] % number  # the first bytes determine the order
    for part in range(number):
        rows = np.flatnonzero(part_of == part)
        yield {name: column.take(rows) for name, column in staged.items()}


def _key_of(batch: BatchKey | None, part: int) -> BatchKey | None:
    if batch is None or part == 0:
        return batch
    return replace(batch, endpoint=f"{batch.endpoint}.{part}")


def _store_part(
    database: Database,
    workspace_id: int,
    resolved: ResolvedTruths,
    staged: Staged,
    batch: BatchKey | None,
) -> Verdict:
    def store(directly: bool) -> tuple[Verdict, bool]:
        return _store(database, workspace_id, resolved, staged, batch, directly=directly)

    verdict, repeated = directly_or_owned(len(staged["key"].lengths()), store)
    if verdict.pending or repeated:
        _join_late(database, staged)
    return verdict


def _store(
    database: Database,
    workspace_id: int,
    resolved: ResolvedTruths,
    staged: Staged,
    batch: BatchKey | None,
    *,
    directly: bool,
) -> tuple[Verdict, bool]:
    """The verdict on truths, and whether they had been stored before."""
    number = len(staged["key"].lengths())
    with database.writing() as conn:
        if batch and (verdict := reserve_key(conn, workspace_id, batch, number)):
            return verdict, True
        _stage(conn, staged)
        conn.exec_driver_sql(_MEMORY)
        models = np.unique(resolved.model_id).tolist()
        known, accepted = learn_stored(conn, number, models) if directly else (0, 0)
        waiting = 0
        if known < number:
            joined, waiting = _own_others(conn, workspace_id, resolved)
            accepted += joined + waiting
    return Verdict(accepted, duplicates=number - accepted, pending=waiting), False


def _own_others(conn: Connection, workspace_id: int, resolved: ResolvedTruths) -> tuple[int, int]:
    """How many of the staged truths were joined or corrected, and how many are now pending."""
    lock_staged(conn)
    recheck_kinds(conn, workspace_id, resolved.declared, resolved.models)
    return store_staged(conn)


def _last_ones(resolved: ResolvedTruths) -> Staged:
    """What STAGED_COLUMNS asks for: of several truths for one prediction the last."""
    columns = resolved.columns
    digests = np.frombuffer(request_digests(columns.request_id.encoded()), np.uint8).reshape(-1, 16)
    rows = _last_of_each(resolved.model_id, digests, columns.batch_index)
    label, value = resolved.label_id[rows], columns.value[rows]
    return {
        "nth": integers(np.arange(len(rows))),
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


def _stage(conn: Connection, staged: Staged) -> None:
    create_staging(conn, "staged_feedback", STAGED_COLUMNS)
    copy_columns(conn, "staged_feedback", staged)


def _join_late(database: Database, staged: Staged) -> None:
    """Join predictions that were stored at the same moment: see `app/ingest/joins.py`."""
    with database.writing() as conn:
        _stage(conn, staged)
        found = conn.execute(_UNJOINED)
        if late := {(row.model_id, row.key): row.request_id for row in found}:
            lock_and_join(conn, late)


# For what a chunk of truths is joined with, which would go to disk otherwise.
_MEMORY = "SET LOCAL work_mem = '64MB'"
_UNJOINED = text(
    UNJOINED.format(columns="r.model_id, r.key, r.request_id", source="staged_feedback AS r")
)
