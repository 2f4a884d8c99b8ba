"""What was known before: the last verdicts on windows, and where the parts of monitors stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from app.monitors.due import Due
from app.monitors.evaluation import Judged


@dataclass(frozen=True, slots=True)
class Known:
    """The last verdict on a window; `learned` counts what was received since, and is in it."""

    state: str
    value: float | None
    as_of: datetime
    learned: int


@dataclass(frozen=True, slots=True)
class Standing:
    """The last window of a part, since when its state is the same, and what was sent last."""

    window_end: datetime
    state: str
    since: datetime
    told: str


@dataclass(frozen=True, slots=True)
class Past:
    """The last verdicts by (monitor, part, end), and the standing of each (monitor, part)."""

    verdicts: Mapping[tuple[int, str, datetime], Known]
    standings: Mapping[tuple[int, str], Standing]


def past_of(
    conn: Connection, dues: Sequence[Due], judged: Sequence[Sequence[Judged]], as_of: datetime
) -> Past:
    """What was known of those monitors. Cost: two statements."""
    return Past(_verdicts(conn, dues, judged, as_of), _standings(conn, dues))


def _verdicts(
    conn: Connection, dues: Sequence[Due], judged: Sequence[Sequence[Judged]], as_of: datetime
) -> dict[tuple[int, str, datetime], Known]:
    asked = [
        {
            "monitor_id": due.id,
            "part": one.part,
            "window_start": one.end - due.definition.length,
            "window_end": one.end,
            "state": one.verdict.state,
            "of_truths": due.definition.counts_truths,
            "series": list(one.series),
        }
        for due, own in zip(dues, judged, strict=True)
        for one in own
        if one.end <= due.judged_until
    ]
    if not asked:
        return {}
    parameters = {"asked": msgspec.json.encode(asked).decode(), "as_of": as_of}
    return {
        (row.monitor_id, row.part, row.window_end): Known(
            row.state, row.value, row.as_of, row.learned
        )
        for row in conn.execute(_LAST, parameters)
    }


def _standings(conn: Connection, dues: Sequence[Due]) -> dict[tuple[int, str], Standing]:
    rows: Any = conn.execute(_STANDINGS, {"ids": [due.id for due in dues]})
    return {
        (row.monitor_id, row.part): Standing(row.window_end, row.state, row.since, row.told)
        for row in rows
    }


# What was learned is counted only where the state has changed.
_LAST = text("""
    SELECT asked.monitor_id, asked.part, asked.window_end, last.state, last.value, last.as_of,
           coalesce(learned.n, 0) AS learned
    FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS asked (
        monitor_id integer, part text, window_start timestamptz, window_end timestamptz, state text,
        of_truths boolean, series jsonb)
    CROSS JOIN LATERAL (
        SELECT verdict.state, verdict.value, verdict.as_of FROM verdict
        WHERE verdict.monitor_id = asked.monitor_id AND verdict.part = asked.part
          AND verdict.window_end = asked.window_end
        ORDER BY verdict.as_of DESC LIMIT 1
    ) AS last
    LEFT JOIN LATERAL (
        SELECT count(*) AS n FROM outcome
        WHERE asked.of_truths AND last.state <> asked.state AND outcome.weight = 1
          AND outcome.series_id = ANY (
              ARRAY(SELECT CAST(jsonb_array_elements_text(asked.series) AS integer)))
          AND outcome.time >= asked.window_start AND outcome.time < asked.window_end
          AND outcome.received_at >= last.as_of AND outcome.received_at < :as_of
        UNION ALL
        SELECT count(*) FROM prediction
        WHERE NOT asked.of_truths AND last.state <> asked.state AND prediction.starts_request
          AND prediction.series_id = ANY (
              ARRAY(SELECT CAST(jsonb_array_elements_text(asked.series) AS integer)))
          AND prediction.time >= asked.window_start AND prediction.time < asked.window_end
          AND prediction.received_at >= last.as_of AND prediction.received_at < :as_of
        ORDER BY 1 DESC LIMIT 1
    ) AS learned ON true
""")
_STANDINGS = text("SELECT * FROM monitor_part WHERE monitor_id = ANY (:ids)")
