"""Predictions by column, stored: as `app/ingest/predictions.py` stores them row by row.

Keys are copied into their table directly, which takes a third of the time of a staged insert. Where
one is stored already the copy fails; then only this part of the transaction is repeated, staged.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import psycopg
from sqlalchemy import Connection, text

from app.ingest.batch import BatchKey, Verdict, reserve_key
from app.ingest.bulk.columns import NO_CODE, Flags, Integers, Texts, in_key_order
from app.ingest.bulk.resolved import ResolvedPredictions
from app.ingest.joins import UNJOINED, Requests, lock_and_join
from app.ingest.predictions import RESERVE_KEYS, STAGED_COLUMNS
from app.store.columns import (
    Column,
    Fixed,
    Varying,
    booleans,
    copy_columns,
    copy_out,
    doubles,
    instants,
    integers,
    nulls,
    packed_scores,
    uuids,
)
from app.store.copy import create_staging, look_up_by_key
from app.store.database import Database
from app.store.request_keys import FAILED, request_digests

_ASKED = {"model_id": "integer", "key": "uuid", "request_id": "text"}
# A row of RESERVE_KEYS, as binary COPY sends it.
_RESERVED = np.dtype(
    [
        *(("", ">i2"), ("", ">i4"), ("model", ">i4"), ("", ">i4"), ("key", "V16")),
        *(("", ">i4"), ("batch_index", ">i4"), ("", ">i4"), ("series", ">i4")),
        *(("", ">i4"), ("joinable", "?")),
    ]
)


@dataclass(slots=True)
class Hints:
    """What the previous chunks of a body were like."""

    repeated: bool = False  # some of their keys were stored before


@dataclass(frozen=True, slots=True)
class _Keys:
    """The keys of rows with a request id: of equal ones the first, in the order of the index."""

    rows: Integers
    digests: np.ndarray  # of `rows`, 16 bytes each


def store_predictions(
    database: Database,
    workspace_id: int,
    resolved: ResolvedPredictions,
    batch: BatchKey | None,
    hints: Hints,
) -> Verdict:
    """Store resolved predictions in a transaction, and join them with their truths."""
    keys = _keys(resolved)
    number = len(resolved.columns)
    with database.writing() as conn:
        verdict = reserve_key(conn, workspace_id, batch, number) if batch else None
        joined: Requests = {}
        if verdict is None:
            new = _new_rows(conn, resolved, keys, hints)
            copy_columns(conn, "prediction", _prediction_columns(resolved, new))
            joined = _unjoined(conn, resolved, keys)
            if joined:
                lock_and_join(conn, joined)
            verdict = Verdict(accepted=len(new), duplicates=number - len(new))
    _join_late(database, resolved, keys, joined)
    return verdict


# --- keys ---------------------------------------------------------------------------------


def _keys(resolved: ResolvedPredictions) -> _Keys:
    columns = resolved.columns
    keyed = np.flatnonzero(columns.request_id.present)
    digests = _digests(columns.request_id, columns.failed)[keyed]
    model, series = resolved.model_id[keyed], resolved.untagged_id[keyed]
    order, differs = in_key_order(model, digests, columns.batch_index[keyed], series)
    order = order[differs]
    return _Keys(keyed[order], digests[order])


def _digests(request_id: Texts, failed: Flags) -> np.ndarray:
    ids = request_id.encoded()
    for row in np.flatnonzero(failed & request_id.present).tolist():
        ids[row] += FAILED.encode()
    return np.frombuffer(request_digests(ids), np.uint8).reshape(-1, 16)


def _new_rows(
    conn: Connection, resolved: ResolvedPredictions, keys: _Keys, hints: Hints
) -> Integers:
    """The rows that weren't stored before, in the order of the body; their keys are reserved."""
    reserved = (
        keys.rows if _copied(conn, resolved, keys, hints) else _inserted(conn, resolved, keys)
    )
    hints.repeated = len(reserved) < len(keys.rows)
    return np.sort(np.concatenate([np.flatnonzero(~resolved.columns.request_id.present), reserved]))


def _copied(conn: Connection, resolved: ResolvedPredictions, keys: _Keys, hints: Hints) -> bool:
    """Whether all keys are new, and are stored now."""
    if hints.repeated:
        return False
    try:
        with conn.begin_nested():
            copy_columns(conn, "prediction_key", _key_columns(resolved, keys))
    except psycopg.errors.UniqueViolation:
        return False
    return True


def _inserted(conn: Connection, resolved: ResolvedPredictions, keys: _Keys) -> Integers:
    """Store the keys that are new; returns their rows."""
    create_staging(conn, "staged_prediction", STAGED_COLUMNS)
    copy_columns(conn, "staged_prediction", _key_columns(resolved, keys))
    inserted = copy_out(conn, RESERVE_KEYS, _RESERVED)
    wanted = np.empty(len(keys.rows), _RESERVED)
    wanted["model"] = resolved.model_id[keys.rows]
    wanted["key"] = np.ascontiguousarray(keys.digests).view("V16").reshape(-1)
    wanted["batch_index"] = resolved.columns.batch_index[keys.rows]
    wanted["series"] = resolved.untagged_id[keys.rows]
    names = ["model", "key", "batch_index", "series"]
    known = {bytes(row) for row in _packed(inserted, names)}
    return keys.rows[[bytes(row) in known for row in _packed(wanted, names)]]


def _packed(rows: np.ndarray, names: list[str]) -> np.ndarray:
    """These fields of each row, as one value."""
    packed = np.empty(len(rows), [(name, rows.dtype[name]) for name in names])
    for name in names:
        packed[name] = rows[name]
    return packed.view(f"V{packed.dtype.itemsize}")


def _key_columns(resolved: ResolvedPredictions, keys: _Keys) -> Mapping[str, Column]:
    """What STAGED_COLUMNS asks for; a failed attempt has no output to compare a truth with."""
    columns, rows = resolved.columns, keys.rows
    single = ~columns.failed[rows]
    label, value, confidence = (
        resolved.label_id[rows],
        columns.value[rows],
        columns.confidence[rows],
    )
    tagged = resolved.series_id[rows]
    return {
        "model_id": integers(resolved.model_id[rows]),
        "key": uuids(keys.digests),
        "batch_index": integers(columns.batch_index[rows]),
        "series_id": integers(resolved.untagged_id[rows]),
        "time": instants(columns.time[rows]),
        "predicted_label": integers(label, single & (label != NO_CODE)),
        "predicted_value": doubles(value, single & ~np.isnan(value)),
        "confidence": doubles(confidence, single & ~np.isnan(confidence)),
        "scores": _packed_scores(resolved, rows),
        "tagged_series_id": integers(tagged, tagged != resolved.untagged_id[rows]),
    }


def _packed_scores(resolved: ResolvedPredictions, rows: Integers) -> Column:
    if not resolved.scored:
        return nulls(len(rows))
    return packed_scores(
        [(group.rows, group.numbers, places) for group, places in resolved.scored],
        len(resolved.columns),
    ).take(rows)


# --- rows ---------------------------------------------------------------------------------


def _prediction_columns(resolved: ResolvedPredictions, new: Integers) -> Mapping[str, Column]:
    """What PREDICTION_COLUMNS asks for, of one output per prediction."""
    columns = resolved.columns.take(new) if len(new) < len(resolved.columns) else resolved.columns
    label, number = resolved.label_id[new], len(new)
    ones = booleans(np.ones(number, bool))
    return {
        "time": instants(columns.time),
        "series_id": integers(resolved.series_id[new]),
        "label_id": integers(label, label != NO_CODE),
        "value": doubles(columns.value, ~np.isnan(columns.value)),
        "confidence": doubles(columns.confidence, ~np.isnan(columns.confidence)),
        "latency_seconds": doubles(columns.latency, ~np.isnan(columns.latency)),
        "starts_request": ones,
        "starts_label": ones,
        "failed": booleans(columns.failed),
        "request_id": text_column(columns.request_id),
        "batch_index": integers(columns.batch_index),
    }


def text_column(texts: Texts) -> Varying:
    """A column of type text."""
    return Varying(texts.content, texts.offsets, None if texts.present.all() else texts.present)


# --- joins --------------------------------------------------------------------------------


def _unjoined(conn: Connection, resolved: ResolvedPredictions, keys: _Keys) -> Requests:
    """Requests of these rows that have something to join: see `app/ingest/joins.py`.

    Cost: one statement, unless a truth waits for a model of theirs, or the model has several
    series: without either, none of its requests can have a truth or another answer.
    """
    models = np.unique(resolved.model_id).tolist()
    if not len(keys.rows) or not conn.execute(_MAY_JOIN, {"model_ids": models}).scalar_one():
        return {}
    create_staging(conn, "asked_request", _ASKED)
    single = ~resolved.columns.failed[keys.rows]
    rows = keys.rows[single]
    asked: Mapping[str, Column] = {
        "model_id": integers(resolved.model_id[rows]),
        "key": Fixed(keys.digests[single]),
        "request_id": text_column(resolved.columns.request_id.take(rows)),
    }
    copy_columns(conn, "asked_request", asked)
    found = conn.execute(_UNJOINED)
    return {(row.model_id, row.key): row.request_id for row in found}


def _join_late(
    database: Database, resolved: ResolvedPredictions, keys: _Keys, joined: Requests
) -> None:
    """Join what was stored at the same moment: see `app/ingest/joins.py`."""
    with database.writing() as conn:
        unjoined = _unjoined(conn, resolved, keys)
        if late := {key: id_ for key, id_ in unjoined.items() if key not in joined}:
            look_up_by_key(conn)
            lock_and_join(conn, late)


# Looked up after the rows are stored. A truth or an answer that this doesn't see is stored later,
# and its writer sees these rows: an answer's series is registered before the answer is stored.
_MAY_JOIN = text("""
    SELECT EXISTS (SELECT FROM pending_feedback WHERE model_id = ANY (:model_ids))
        OR EXISTS (SELECT FROM series WHERE model_id = ANY (:model_ids) AND tags = '{}'
                   GROUP BY model_id HAVING count(*) > 1)
""")
_UNJOINED = text(
    UNJOINED.format(columns="r.model_id, r.key, r.request_id", source="asked_request AS r")
)
