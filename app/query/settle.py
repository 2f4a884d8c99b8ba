"""Settle a question: find its subject and its moment, once for all that is asked about it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from psycopg.errors import InvalidParameterValue
from sqlalchemy import Connection, text
from sqlalchemy.exc import DataError

from app.errors import InvalidWindow
from app.query.question import Counted, Moment, Question
from app.query.subjects import Scope, Subject
from app.store.database import prepared
from app.store.registry import Kind


def settle(
    conn: Connection,
    question: Question[Scope],
    *counted: Counted,
    kind: Kind | None = None,
) -> Question[Subject]:
    """Find the subject of a question, and the moment of an answer that is made of `counted`.

    The first statement of a transaction, whose snapshot it takes.

    Raises:
        InvalidWindow, UnknownModel, WrongKind: as `looked_up` and `Subject.require`.
    """
    settled = looked_up(conn, question, *counted)
    settled.subject.require(kind)
    return settled


def looked_up(conn: Connection, question: Question[Scope], *counted: Counted) -> Question[Subject]:
    """As `settle`, of a model that may not be there.

    Names of zones come and go with the tables that a host keeps of them, and those of the
    database's host may be others than ours.

    Cost: one statement, whose plan is kept: what is stored between the snapshot that it takes and
    the clock that it reads is not in the answer, so nothing is to be done in between.

    Raises:
        InvalidWindow: the database lacks the zone, or its clock, which rows are stamped by, has
            not reached `as_of`.
    """
    taken, reached, id_, kind, series, declared, _ = _row(conn, question, counted)
    moment = _moment(question.as_of, taken, reached)
    kind = None if kind is None else Kind(kind)
    subject = Subject(question.subject, id_, kind, series, declared)
    return replace(question.about(subject), as_of=moment.as_of, moment=moment)


def _row(conn: Connection, question: Question[Scope], counted: Sequence[Counted]) -> Any:
    scope = question.subject
    lookup = {
        "workspace": question.workspace_id,
        **scope.name._asdict(),
        "deployment": scope.deployment,
        "version": scope.version,
        "as_of": question.as_of,
        "zone": question.grid.zone,
        "counted": [one.value for one in counted],
    }
    try:
        return prepared(conn, _SETTLE, lookup).fetchone()
    except InvalidParameterValue:
        raise InvalidWindow(f"the database has no time zone {question.grid.zone}") from None


def require_zone(conn: Connection, zone: str) -> None:
    """Refuse a zone that the database lacks, which it would be a fault to find out later.

    Raises:
        InvalidWindow: it does.
    """
    if zone != "UTC":
        try:
            conn.execute(_ZONE, {"zone": zone})
        except DataError:
            raise InvalidWindow(f"the database has no time zone {zone}") from None


def _moment(as_of: datetime | None, taken: datetime, reached: datetime | None) -> Moment:
    if as_of is None:
        return Moment(taken)
    if as_of > taken:
        raise InvalidWindow("asOf must not be in the future")
    return Moment(taken, reached or as_of, held_back=reached not in (as_of, None))


_ZONE = text("SELECT now() AT TIME ZONE :zone")
_SETTLE = b"""
    WITH moment AS MATERIALIZED (
        SELECT clock_timestamp() AS taken, CAST(%(as_of)s AS timestamptz) AS as_of
    )
    SELECT moment.taken,
           CASE WHEN as_of <= taken
                THEN truthline_internal.shared_reach_as_of(CAST(%(counted)s AS text[]), as_of) END,
           model.id, model.kind,
           ARRAY(SELECT id FROM series
                 WHERE model_id = model.id
                   AND deployment = coalesce(CAST(%(deployment)s AS text), deployment)
                   AND version = coalesce(CAST(%(version)s AS text), version)),
           coalesce(subscription.categories, '{}'),
           CASE WHEN %(zone)s <> 'UTC' AND coalesce(as_of <= taken, true)
                THEN taken AT TIME ZONE %(zone)s END
    FROM moment
    LEFT JOIN model ON workspace_id = %(workspace)s AND namespace = %(namespace)s
                   AND pipeline = %(pipeline)s AND name = %(name)s
    LEFT JOIN subscription ON subscription.model_id = model.id
"""
