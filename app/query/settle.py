"""Settle a question: look up its subject and its moment, once for all queries about it."""

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
from app.store.replica import reached_of


def settle(
    conn: Connection,
    question: Question[Scope],
    *counted: Counted,
    kind: Kind | None = None,
) -> Question[Subject]:
    """Look up the subject of a question, and the moment of an answer computed from `counted`.

    It must be the first statement of a transaction, because it takes the snapshot.

    Raises:
        InvalidWindow, UnknownModel, WrongKind: as in `look_up` and `Subject.require`.
    """
    settled = look_up(conn, question, *counted)
    settled.subject.require(kind)
    return settled


def look_up(conn: Connection, question: Question[Scope], *counted: Counted) -> Question[Subject]:
    """Like `settle`, for a model that may not exist.

    The time zone is checked too, because the database's host may know different zones than ours.

    Cost: one prepared statement. Rows stored between its snapshot and the clock that it reads are
    missing from the answer, so it should not take long.

    Raises:
        InvalidWindow: the database does not know the zone, or its clock has not reached `as_of`.
    """
    replica = reached_of(conn)
    clock = replica.moment if replica else None
    snapshot_at, reached, id_, kind, series, declared, _ = _row(conn, question, counted, clock)
    moment = moment_of(question.as_of, snapshot_at, reached)
    moment = replace(moment, lag=replica.lag if replica else None)
    kind = None if kind is None else Kind(kind)
    subject = Subject(question.subject, id_, kind, series, declared)
    return replace(question.about(subject), as_of=moment.as_of, moment=moment)


def _row(
    conn: Connection,
    question: Question[Scope],
    counted: Sequence[Counted],
    clock: datetime | None,
) -> Any:
    scope = question.subject
    lookup = {
        "workspace": question.workspace_id,
        **scope.name._asdict(),
        "deployment": scope.deployment,
        "version": scope.version,
        "tags": scope.tags.in_sql,
        "as_of": question.as_of,
        "clock": clock,
        "zone": question.grid.zone,
        "counted": [subject.value for subject in counted],
    }
    try:
        return prepared(conn, _SETTLE, lookup).fetchone()
    except InvalidParameterValue:
        raise _unknown_zone(question.grid.zone) from None


def require_zone(conn: Connection, zone: str) -> None:
    """Reject a zone that the database does not know; a later query would crash on it.

    Raises:
        InvalidWindow: the database does not know the zone.
    """
    if zone != "UTC":
        try:
            conn.execute(_ZONE, {"zone": zone})
        except DataError:
            raise _unknown_zone(zone) from None


def _unknown_zone(zone: str) -> InvalidWindow:
    return InvalidWindow(f"the database has no time zone {zone}")


def moment_of(
    as_of: datetime | None, snapshot_at: datetime, reached: datetime | None = None
) -> Moment:
    """The moment of an answer that was requested as of `as_of`, and can reflect `reached`.

    Raises:
        InvalidWindow: the database's clock has not reached `as_of`.
    """
    if as_of is None:
        return Moment(snapshot_at)
    if as_of > snapshot_at:
        raise InvalidWindow("asOf must not be in the future")
    return Moment(snapshot_at, reached or as_of, moved_back=reached not in (as_of, None))


_ZONE = text("SELECT now() AT TIME ZONE :zone")
_SETTLE = b"""
    WITH moment AS MATERIALIZED (
        SELECT coalesce(CAST(%(clock)s AS timestamptz), clock_timestamp()) AS taken,
               CAST(%(as_of)s AS timestamptz) AS as_of
    )
    SELECT moment.taken,
           CASE WHEN as_of <= taken
                THEN truthline_internal.shared_reach_as_of(CAST(%(counted)s AS text[]), as_of) END,
           model.id, model.kind,
           ARRAY(SELECT id FROM series
                 WHERE model_id = model.id
                   AND deployment = coalesce(CAST(%(deployment)s AS text), deployment)
                   AND version = coalesce(CAST(%(version)s AS text), version)
                   AND tags @> truthline_internal.certain_tags(CAST(%(tags)s AS jsonb))
                   AND truthline_internal.has_tags(tags, CAST(%(tags)s AS jsonb))),
           coalesce(subscription.categories, '{}'),
           CASE WHEN %(zone)s <> 'UTC' AND coalesce(as_of <= taken, true)
                THEN taken AT TIME ZONE %(zone)s END
    FROM moment
    LEFT JOIN model ON workspace_id = %(workspace)s AND namespace = %(namespace)s
                   AND pipeline = %(pipeline)s AND name = %(name)s
    LEFT JOIN subscription ON subscription.model_id = model.id
"""
