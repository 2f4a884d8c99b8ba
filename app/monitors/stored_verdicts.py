"""Store what a round found: verdicts, standings and messages, all in one transaction or nothing."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from app.monitors.messages import message_of
from app.monitors.outcome import Finding, Outcome
from app.store.database import Database


def store(
    database: Database,
    outcomes: Sequence[Outcome],
    since: datetime | None,
    as_of: datetime,
    public_url: str = "",
) -> bool:
    """Store them, unless another round has ended since this one began.

    A monitor that was deleted or has a new revision by now keeps nothing of it.

    Returns whether they were stored. Cost: five statements.
    """
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        if conn.execute(_LOCK_ROUND).scalar_one() != since:
            return False
        current = _lock(conn, outcomes)
        kept = [one for one in outcomes if (one.due.id, one.due.revision) in current]
        _insert(conn, _VERDICTS, [row for one in kept for row in _verdicts(one, as_of)])
        _insert(conn, _STANDINGS, [row for one in kept for row in _standings(one, as_of)])
        _insert(conn, _JUDGED, [_judged(one) for one in kept])
        _insert(conn, _DELIVERIES, [row for one in kept for row in _told(one, as_of, public_url)])
        conn.execute(_END_ROUND, {"as_of": as_of})
    return True


def _lock(conn: Connection, outcomes: Sequence[Outcome]) -> set[tuple[int, int]]:
    """Those monitors as they are now, which nobody changes until the transaction ends."""
    rows = conn.execute(_LOCK_MONITORS, {"ids": sorted(one.due.id for one in outcomes)})
    return {(row.id, row.revision) for row in rows}


def _insert(conn: Connection, statement: Any, rows: Sequence[Any]) -> None:
    if rows:
        conn.execute(statement, {"rows": msgspec.json.encode(rows).decode()})


def _verdicts(outcome: Outcome, as_of: datetime) -> Iterator[dict[str, Any]]:
    return (_verdict(outcome, finding, as_of) for finding in outcome.findings)


def _verdict(outcome: Outcome, finding: Finding, as_of: datetime) -> dict[str, Any]:
    due, verdict, known = outcome.due, finding.judged.verdict, finding.revises
    return {
        "monitor_id": due.id,
        "part": finding.judged.part,
        "window_start": finding.judged.end - due.definition.length,
        "window_end": finding.judged.end,
        "as_of": as_of,
        "revision": due.revision,
        "state": verdict.state,
        "reason": verdict.reason,
        "value": verdict.reading.value,
        "low": verdict.reading.low,
        "high": verdict.reading.high,
        "n": verdict.reading.n,
        "baseline": verdict.baseline,
        "revised_as_of": known.as_of if known else None,
        "revised_state": known.state if known else None,
        "revised_value": known.value if known else None,
        "learned": known.learned if known else None,
    }


def _standings(outcome: Outcome, as_of: datetime) -> Iterator[dict[str, Any]]:
    for part, standing in outcome.standings.items():
        own = {"monitor_id": outcome.due.id, "part": part, "as_of": as_of}
        yield own | msgspec.to_builtins(standing)


def _judged(outcome: Outcome) -> dict[str, Any]:
    return {"id": outcome.due.id, "judged_until": outcome.judged_until}


def _told(outcome: Outcome, as_of: datetime, public_url: str) -> Iterator[dict[str, Any]]:
    for finding in outcome.findings:
        if finding.tell:
            body = message_of(outcome.due, finding, as_of, public_url)
            yield {"monitor_id": outcome.due.id, "part": finding.judged.part, "body": body}


_LOCK_ROUND = text("SELECT as_of FROM monitor_round FOR UPDATE")
_LOCK_MONITORS = text(
    "SELECT id, revision FROM monitor WHERE id = ANY (:ids) ORDER BY id FOR UPDATE"
)
_VERDICTS = text("""
    INSERT INTO verdict (monitor_id, part, window_start, window_end, as_of, revision, state, reason,
                         value, low, high, n, baseline, revised_as_of, revised_state, revised_value,
                         learned)
    SELECT monitor_id, part, window_start, window_end, as_of, revision, state, reason, value, low,
           high, n, baseline, revised_as_of, revised_state, revised_value, learned
    FROM jsonb_populate_recordset(CAST(NULL AS verdict), CAST(:rows AS jsonb))
""")
_STANDINGS = text("""
    INSERT INTO monitor_part (monitor_id, part, window_end, as_of, state, since, told)
    SELECT monitor_id, part, window_end, as_of, state, since, told
    FROM jsonb_populate_recordset(CAST(NULL AS monitor_part), CAST(:rows AS jsonb))
    ON CONFLICT (monitor_id, part) DO UPDATE
    SET window_end = EXCLUDED.window_end, as_of = EXCLUDED.as_of, state = EXCLUDED.state,
        since = EXCLUDED.since, told = EXCLUDED.told
""")
_JUDGED = text("""
    UPDATE monitor SET judged_until = done.judged_until
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS done (id integer, judged_until timestamptz)
    WHERE monitor.id = done.id
""")
_DELIVERIES = text("""
    INSERT INTO delivery (receiver_id, monitor_id, part, body)
    SELECT monitor_receiver.receiver_id, told.monitor_id, told.part, told.body
    FROM ROWS FROM (
        jsonb_to_recordset(CAST(:rows AS jsonb)) AS (monitor_id integer, part text, body jsonb)
    ) WITH ORDINALITY AS told (monitor_id, part, body, nth)
    JOIN monitor_receiver ON monitor_receiver.monitor_id = told.monitor_id
    ORDER BY told.nth, monitor_receiver.receiver_id
""")
_END_ROUND = text("UPDATE monitor_round SET as_of = :as_of")
