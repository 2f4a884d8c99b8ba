"""Operations: are levels kept up, are rows coming in, and how late are truths."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.dashboards.parts import IN_WORKSPACE, WINDOW, Panel, board, over_time, rows, workspace

W = "${workspace:sqlstring}"
RECEIVED = "received_at >= $__timeFrom() AND received_at < $__timeTo()"
DELAY = "extract(epoch FROM received_at - time)"
BUCKET = (
    "date_bin($__interval_ms * INTERVAL '1 millisecond', received_at,"
    " TIMESTAMPTZ '2000-01-03 00:00Z')"
)


def operations() -> Dashboard:
    """Build it."""
    return board(
        "operations",
        "Truthline: operations",
        "What comes in, how late truths are, and how far levels are kept up. It reads rows, not"
        " levels: keep the period short.",
        [workspace()],
        [_rows("predictions"), _rows("outcomes"), _delay(), _levels(), _freshness()],
        since="now-6h",
    )


def _rows(view: str) -> Panel:
    noun = "Predictions" if view == "predictions" else "Truths"
    return over_time(
        f"{noun} received",
        f"""
    SELECT {BUCKET} AS "time", model AS metric, count(*) AS "rows"
    FROM truthline.{view}
    WHERE {IN_WORKSPACE} AND {RECEIVED}
    GROUP BY 1, 2
    ORDER BY 1, 2
    """,
        about="Rows by when the database received them",
        bars=True,
    )


def _delay() -> Panel:
    return over_time(
        "Delay of truths",
        f"""
    SELECT {BUCKET} AS "time",
           percentile_cont(0.5) WITHIN GROUP (ORDER BY {DELAY}) AS "p50",
           percentile_cont(0.95) WITHIN GROUP (ORDER BY {DELAY}) AS "p95"
    FROM truthline.outcomes
    WHERE {IN_WORKSPACE} AND {RECEIVED} AND weight = 1
    GROUP BY 1
    ORDER BY 1
    """,
        unit="s",
        about="From a prediction to the moment its truth was received",
    )


def _levels() -> Panel:
    return rows(
        "Levels",
        """
    SELECT name AS "level", subject, event_width::text AS "event width",
           CASE WHEN learned_width < INTERVAL '1 millisecond' THEN 'recent'
                ELSE learned_width::text END AS "learned width",
           nullif(clean_until, '-infinity') AS "clean until",
           extract(epoch FROM now() - nullif(clean_until, '-infinity'))::float8 AS "behind now"
    FROM truthline_internal.levels()
    """,
        about="Until when each level holds every row that was received. A level of learned hours is"
        " an hour or two behind by nature, one of days up to two days, one of months up to two"
        " months; recent ones hold what was received since. What a level lacks is read from finer"
        " ones and rows, so answers are exact",
        units={"behind now": "s"},
    )


def _freshness() -> Panel:
    return rows(
        "Freshness",
        f"""
    SELECT name AS "model", namespace, pipeline, kind, last_seen AS "last prediction",
           extract(epoch FROM now() - last_seen)::float8 AS "ago", n_inferences AS "inferences",
           n_errors AS "errors"
    FROM truthline.models({W}, {WINDOW})
    ORDER BY last_seen DESC NULLS LAST
    """,
        about="When each model last predicted, by its own clock",
        width=24,
        units={"ago": "s"},
    )
