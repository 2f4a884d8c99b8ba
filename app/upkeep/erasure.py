"""Erasure: delete rows permanently, on request, and record that it was done.

One transaction deletes the raw rows, what belongs to them and, where levels are folded, their
cells: a question sees all of it or nothing. Rows that arrive later are new. Numbers of models,
series and labels stay, because every process remembers them: what names say is replaced instead.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.auth.workspaces import DEFAULT_WORKSPACE
from app.errors import InvalidInput, Unavailable
from app.ingest.keys import lock_requests
from app.rollup.audit import Fault
from app.rollup.erasing import erase_from_levels, recount
from app.store.database import Database
from app.store.edition import Edition, server_info
from app.store.request_keys import keys_of
from app.upkeep import erasure_statements as sql
from app.upkeep.housekeeping import leading

WAIT_SECONDS = 600.0
PAUSE_SECONDS = 0.2
Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What to erase of a workspace: some requests, a value of a tag, a model, or all of it."""

    workspace: str
    request_ids: Sequence[str] = ()
    tag: tuple[str, str] | None = None
    model: tuple[str, str, str] | None = None  # namespace, pipeline, name

    @property
    def scope(self) -> str:
        """As `erasure.scope` names it."""
        if self.request_ids:
            return "requests"
        return "tag" if self.tag else "model" if self.model else "workspace"


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows were erased, and the faults that an audit of the levels could not repair."""

    predictions: int
    outcomes: int
    others: int
    faults: Sequence[Fault] = ()

    @property
    def total(self) -> int:
        """Of all tables."""
        return self.predictions + self.outcomes + self.others


def preview(database: Database, target: Target) -> Erased:
    """What `erase` would erase now. It is deleted, counted and rolled back.

    Raises:
        InvalidInput: there is no such workspace or model.
        Unavailable: the database is unreachable or busy.
    """
    with _alone(database), database.writing() as conn:
        rehearsal = conn.begin_nested()
        erased = _delete(conn, _parameters(conn, target), target)
        rehearsal.rollback()
        return erased


def erase(database: Database, target: Target, *, by: str, reason: str = "") -> Erased:
    """Erase, and record who did it and why.

    The worker's rounds wait. It is recorded too if there was nothing to erase.

    Cost: raw rows of the workspace are read once to find requests, and an index finds those of
        tags and models. TimescaleDB Community counts their months again.

    Raises:
        InvalidInput: there is no such workspace or model, or it is the default workspace.
        Unavailable: the database is unreachable or busy; if that happens after the deletion, what
            remains is done by the worker.
    """
    with _alone(database):
        with database.writing() as conn:
            parameters = _parameters(conn, target)
            erased = _delete(conn, parameters, target)
            whole = [] if target.request_ids else parameters["series"]
            erase_from_levels(conn, whole)
            if not target.request_ids:
                conn.execute(sql.RENAME_TAGS, parameters)
            conn.execute(sql.RECORD, _record(erased, parameters, target, by, reason))
            received = conn.execute(sql.RECEIVED).one()
            is_community = server_info(conn).edition is Edition.COMMUNITY
        if is_community and received.first is not None:
            return _counted_again(database, erased, received.first, received.last)
    return erased


def _counted_again(database: Database, erased: Erased, first: datetime, last: datetime) -> Erased:
    faults = list(recount(database, first, last))
    return Erased(erased.predictions, erased.outcomes, erased.others, faults)


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Wait for the worker's round to end, and let none begin."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        with leading(database) as leader:
            if leader:
                yield
                return
        if time.monotonic() > deadline:
            raise Unavailable("the worker's round doesn't end; try again later")
        time.sleep(PAUSE_SECONDS)


def _parameters(conn: Connection, target: Target) -> dict[str, Any]:
    """Ids of what is to be erased.

    Raises:
        InvalidInput: there is no such workspace or model, or it is the default workspace.
    """
    conn.execute(sql.NO_LIMITS)
    if target.scope == "workspace" and target.workspace == DEFAULT_WORKSPACE:
        raise InvalidInput(
            "the default workspace can't be erased as a whole, because servers without"
            " authentication use it: erase its models"
        )
    workspace_id = conn.execute(sql.WORKSPACE, {"name": target.workspace}).scalar()
    if workspace_id is None:
        raise InvalidInput(f"there is no workspace {target.workspace!r}")
    found: dict[str, Any] = {"workspace_id": workspace_id, "ids": list(target.request_ids)}
    found["keys"] = [key for id_ in target.request_ids for key in keys_of(id_)]
    names = dict(zip(("namespace", "pipeline", "model"), target.model or (None,) * 3, strict=True))
    found["model_ids"] = conn.execute(sql.MODELS, found | names).scalars().all()
    if target.model and not found["model_ids"]:
        raise InvalidInput(f"there is no model {target.model[2]!r} in this workspace")
    key, value = target.tag or (None, None)
    found["tag_key"] = key
    of_series = found | {"value": value}
    found["series"] = conn.execute(sql.SERIES, of_series).scalars().all()
    return found


def _delete(conn: Connection, parameters: Parameters, target: Target) -> Erased:
    """Delete keys before rows: a transaction that joins a truth with a row holds its key."""
    others = 0
    if target.request_ids:
        pairs = [tuple(pair) for pair in conn.execute(sql.OWN_KEYS, parameters)]
        lock_requests(conn, pairs)
    for statement in sql.BEFORE_ROWS[target.scope]:
        others += conn.execute(statement, parameters).rowcount
    conn.execute(sql.CREATE_ERASED)
    rows = sql.ROWS_OF_REQUESTS if target.request_ids else sql.ROWS_OF_SERIES
    outcomes, predictions = (conn.execute(statement, parameters).rowcount for statement in rows)
    for statement in sql.AFTER_ROWS[target.scope]:
        others += conn.execute(statement, parameters).rowcount
    for statement in sql.RENAMES[target.scope]:
        conn.execute(statement, parameters)
    return Erased(predictions, outcomes, others)


def _record(
    erased: Erased, parameters: Parameters, target: Target, by: str, reason: str
) -> Parameters:
    return {
        "workspace_id": parameters["workspace_id"],
        "model_id": parameters["model_ids"][0] if target.model else None,
        "scope": target.scope,
        "tag_key": parameters["tag_key"],
        "requests": len(target.request_ids) or None,
        "predictions": erased.predictions,
        "outcomes": erased.outcomes,
        "others": erased.others,
        "erased_by": by,
        "reason": reason,
    }
