"""Readings of many monitors at once: a statement for each family of metrics and length of windows.

`sql/views/88_monitors.sql` has the functions; this module says what they are asked.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, text

from app.monitors.judge import LOST, Reading
from app.monitors.metrics import SHARE, Family, Metric
from app.query.drift import Quantity, Statistic
from app.query.subjects import in_sql


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of a model: its series, none while it has no predictions."""

    model_id: int
    series: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FromReference:
    """What drift is measured from, [start, end) of a selection, and how."""

    selection: Selection
    start: datetime
    end: datetime
    quantity: Quantity
    statistic: Statistic


@dataclass(frozen=True, slots=True)
class Ask:
    """One number: a metric of a selection in [start, end), with an interval of this confidence.

    `label_id` is the class of a metric of a class, `quantile` that of a quantile, `drift` what
    drift is measured from.
    """

    selection: Selection
    start: datetime
    end: datetime
    metric: Metric
    average: str
    label_id: int | None = None
    quantile: float | None = None
    level: float | None = None
    drift: FromReference | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects of cells that it is computed from."""
        return self.drift.quantity.counted if self.drift else _SUBJECTS[self.metric.family]

    @property
    def edges(self) -> tuple[datetime, ...]:
        """Where what is read begins and ends."""
        own = (self.start, self.end)
        return (*own, self.drift.start, self.drift.end) if self.drift else own

    @property
    def series(self) -> tuple[int, ...]:
        """All that is read of."""
        more = self.drift.selection.series if self.drift else ()
        return (*self.selection.series, *more)

    @property
    def span(self) -> tuple[Selection, datetime, datetime, str]:
        """What is added up for it."""
        return self.selection, self.start, self.end, self.average


def read_all(conn: Connection, asks: Iterable[Ask], as_of: datetime) -> Mapping[Ask, Reading]:
    """The readings as of a moment; those without anything to compute them from are absent.

    Cost: two statements for each family of metrics, length of windows and run of overlapping
    windows: one over the cells of the windows' series, once for all of them, and one about each
    edge, which costs nothing until rows are dropped.
    """
    found: dict[Ask, Reading] = {}
    for group in _alike(asks):
        lost = _lost(conn, group, as_of)
        found.update(dict.fromkeys(lost, LOST))
        if left := [ask for ask in group if ask not in lost]:
            found.update(_read(conn, left, as_of))
    return found


def _lost(conn: Connection, asks: Sequence[Ask], as_of: datetime) -> set[Ask]:
    """Those whose window begins or ends where cells can't be divided any more."""
    asked = {
        "subjects": list(asks[0].subjects),
        "members": in_sql({id_ for ask in asks for id_ in ask.series}),
        "edges": sorted({edge for ask in asks for edge in ask.edges}),
        "as_of": as_of,
    }
    moved = set(conn.execute(_MOVED, asked).scalars())
    return {ask for ask in asks if moved.intersection(ask.edges)}


def _alike(asks: Iterable[Ask]) -> Iterator[list[Ask]]:
    """Asks that one statement answers: of one family and length, without gaps between windows."""
    groups: dict[tuple[Family, tuple[str, ...], timedelta], list[Ask]] = defaultdict(list)
    for ask in dict.fromkeys(asks):
        if ask.selection.series:
            groups[ask.metric.family, ask.subjects, ask.end - ask.start].append(ask)
    for group in groups.values():
        yield from _runs(sorted(group, key=lambda ask: (ask.start, ask.end)))


def _runs(asks: Sequence[Ask]) -> Iterator[list[Ask]]:
    """Cut where no window covers: what lies between is not read."""
    run: list[Ask] = []
    for ask in asks:
        if run and ask.start > run[-1].end:
            yield run
            run = []
        run.append(ask)
    yield run


def _read(conn: Connection, asks: Sequence[Ask], as_of: datetime) -> Iterator[tuple[Ask, Reading]]:
    apart = read_scores if asks[0].metric.family is Family.SCORES else None
    apart = read_drift if asks[0].metric.family is Family.DRIFT else apart
    rows = apart(conn, asks, as_of) if apart else _read_together(conn, asks, as_of)
    for row in rows:
        yield asks[row.nth - 1], Reading(row.n, row.value, row.low, row.high, hits=row.hits)


def _read_together(conn: Connection, asks: Sequence[Ask], as_of: datetime) -> Iterable[Row[Any]]:
    """Windows that overlap are added up from the same cells."""
    edges = sorted({ask.start for ask in asks} | {ask.end for ask in asks})
    place_of = {edge: place for place, edge in enumerate(edges, 1)}
    selections = list(dict.fromkeys(ask.selection for ask in asks))
    number_of = {selection: number for number, selection in enumerate(selections)}
    spans = list(dict.fromkeys(ask.span for ask in asks))
    span_of = {span: number for number, span in enumerate(spans, 1)}
    asked = {
        "selections": in_sql(n for n, one in enumerate(selections) for _ in one.series),
        "members": in_sql(id_ for one in selections for id_ in one.series),
        "edges": edges,
        "as_of": as_of,
        "spans": in_sql(number_of[selection] for selection, _, _, _ in spans),
        "firsts": in_sql(place_of[start] for _, start, _, _ in spans),
        "lasts": in_sql(place_of[end] - 1 for _, _, end, _ in spans),
        "averages": [average for _, _, _, average in spans],
        "models": in_sql(selection.model_id for selection, _, _, _ in spans),
        "places": in_sql(span_of[ask.span] for ask in asks),
        "metrics": [ask.metric.column for ask in asks],
        "labels": [ask.label_id for ask in asks],
        "levels": [ask.level for ask in asks],
        "quantiles": [ask.quantile for ask in asks],
        "fractions": sorted({ask.quantile for ask in asks if ask.quantile is not None}),
        "with_truths": any(ask.metric.name == SHARE for ask in asks),
    }
    return conn.execute(_STATEMENTS[asks[0].metric.family], asked)


def read_scores(conn: Connection, asks: Sequence[Ask], as_of: datetime) -> Iterable[Row[Any]]:
    """Metrics of scores, which don't add up: each window is read by itself, in one statement."""
    asked = [
        {
            "nth": nth,
            "model": ask.selection.model_id,
            "series": list(ask.selection.series),
            "edges": [ask.start, ask.end],
            "metric": ask.metric.column,
            "level": ask.level,
        }
        for nth, ask in enumerate(asks, 1)
    ]
    return conn.execute(_SCORES, {"asked": msgspec.json.encode(asked).decode(), "as_of": as_of})


def read_drift(conn: Connection, asks: Sequence[Ask], as_of: datetime) -> Iterable[Row[Any]]:
    """Drift, each window by itself, in one statement. `n` is that of the smaller side."""
    asked = [
        {
            "nth": nth,
            "series": list(ask.selection.series),
            "edges": [ask.start, ask.end],
            "of_series": list(ask.drift.selection.series),
            "of_edges": [ask.drift.start, ask.drift.end],
            "quantity": ask.drift.quantity.name.lower(),
            "statistic": ask.drift.statistic.value,
        }
        for nth, ask in enumerate(asks, 1)
        if ask.drift
    ]
    return conn.execute(_DRIFT, {"asked": msgspec.json.encode(asked).decode(), "as_of": as_of})


# What each family is counted from.
_SUBJECTS = {
    Family.CLASSIFICATION: ("outcome",),
    Family.REGRESSION: ("outcome", "deviation"),
    Family.LOAD: ("prediction", "outcome"),
    Family.LATENCY: ("latency",),
    Family.SCORES: ("scored", "ranked", "versus"),
}
_MOVED = text("""
    SELECT edge FROM unnest(CAST(:subjects AS text[])) AS subject (name)
    CROSS JOIN LATERAL truthline_internal.reach(
        subject.name, CAST(:members AS integer[]), CAST(:edges AS timestamptz[]),
        CAST(:as_of AS timestamptz)) AS reach
    CROSS JOIN LATERAL unnest(CAST(:edges AS timestamptz[]), reach.reached_edges) AS e (edge, found)
    WHERE edge <> found
""")
_SPANS = """
    CAST(:selections AS integer[]), CAST(:members AS integer[]), CAST(:edges AS timestamptz[]),
    CAST(:as_of AS timestamptz),
    ARRAY(SELECT CAST(ROW(selection, first, last, average, model) AS truthline_internal.span)
          FROM unnest(CAST(:spans AS integer[]), CAST(:firsts AS integer[]),
                      CAST(:lasts AS integer[]), CAST(:averages AS text[]),
                      CAST(:models AS integer[]))
              WITH ORDINALITY AS s (selection, first, last, average, model, nth) ORDER BY nth)"""


def _estimates(function: str, more: str = "") -> Any:
    return text(f"""
        SELECT asked.nth, e.n, e.hits, e.value, i.low, i.high
        FROM unnest(CAST(:places AS integer[]), CAST(:metrics AS text[]),
                    CAST(:labels AS integer[]), CAST(:levels AS float8[]))
            WITH ORDINALITY AS asked (place, metric, class, level, nth)
        JOIN truthline_internal.{function}({_SPANS}{more}) AS e
            ON e.place = asked.place AND e.metric = asked.metric
            AND e.class IS NOT DISTINCT FROM asked.class
        LEFT JOIN LATERAL truthline_internal.interval_of(
            e, truthline_internal.normal_quantile(asked.level)) AS i ON asked.level IS NOT NULL
        ORDER BY asked.nth
    """)


_LATENCIES = text(f"""
    SELECT asked.nth, e.n, e.value, CAST(NULL AS float8) AS low, CAST(NULL AS float8) AS high,
           CAST(NULL AS bigint) AS hits
    FROM unnest(CAST(:places AS integer[]), CAST(:quantiles AS float8[]))
        WITH ORDINALITY AS asked (place, fraction, nth)
    JOIN truthline_internal.monitored_latencies({_SPANS}, CAST(:fractions AS float8[])) AS e
        ON e.place = asked.place AND e.fraction = asked.fraction
    ORDER BY asked.nth
""")
_STATEMENTS = {
    Family.CLASSIFICATION: _estimates("monitored_classification"),
    Family.REGRESSION: _estimates("monitored_regression"),
    Family.LOAD: _estimates("monitored_load", ", :with_truths"),
    Family.LATENCY: _LATENCIES,
}
_SCORES = text("""
    SELECT asked.nth, counted.n,
           CAST(to_jsonb(found) ->> asked.metric AS float8) AS value,
           CAST(to_jsonb(bounds) ->> (asked.metric || '_low') AS float8) AS low,
           CAST(to_jsonb(bounds) ->> (asked.metric || '_high') AS float8) AS high,
           CAST(NULL AS bigint) AS hits
    FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS asked (
        nth integer, model integer, series integer[], edges timestamptz[], metric text,
        level float8)
    CROSS JOIN LATERAL truthline_internal.class_of_scores(
        asked.model, CAST(:as_of AS timestamptz)) AS class
    CROSS JOIN LATERAL truthline_internal.score_metrics(
        asked.series, asked.edges, CAST(:as_of AS timestamptz), class.positive,
        ARRAY[asked.metric], class.one_vs_rest) AS found
    LEFT JOIN LATERAL truthline_internal.score_bounds(
        asked.series, asked.edges, CAST(:as_of AS timestamptz), class.positive, asked.level,
        class.one_vs_rest) AS bounds ON true
    CROSS JOIN LATERAL (
        SELECT found.n - CASE WHEN asked.metric IN ('log_loss', 'brier_score') THEN 0
                              ELSE coalesce(found.n_unranked, 0) END
    ) AS counted (n)
    WHERE counted.n > 0
    ORDER BY asked.nth
""")
_DRIFT = text("""
    SELECT asked.nth, least(found.a_n, found.b_n) AS n, found."values"[1] AS value,
           CAST(NULL AS float8) AS low, CAST(NULL AS float8) AS high,
           CAST(NULL AS bigint) AS hits
    FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS asked (
        nth integer, series integer[], edges timestamptz[], of_series integer[],
        of_edges timestamptz[], quantity text, statistic text)
    CROSS JOIN LATERAL truthline_internal.drift(
        asked.quantity, asked.of_series, asked.of_edges, CAST(:as_of AS timestamptz),
        asked.series, asked.edges, CAST(:as_of AS timestamptz), ARRAY[asked.statistic]) AS found
    WHERE found.a_n > 0 AND found.b_n > 0
    ORDER BY asked.nth
""")
