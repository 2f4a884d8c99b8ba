"""What all dashboards are built of: queries, panels and variables in one manner.

A query reads the public views and functions and nothing else. Variables stand in it as SQL literals
(`${name:sqlstring}`), and "All" of one that may be left out stands for NULL, as in the functions. A
time series is NULL where a bucket is empty, and drawn as a gap.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import common, dashboard, stat, table, timeseries, trend
from grafana_foundation_sdk.cog import builder, variants
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    Dashboard,
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DynamicConfigValue,
    VariableOption,
    VariableRefresh,
)

from app.query.measure import Measure, Unit

# What Grafana calls the unit of a measure; the model's own has no name here.
UNITS = {Unit.SHARE: "percentunit", Unit.SECONDS: "s", Unit.MILLISECONDS: "ms"}
SOURCE = DataSourceRef(type_val="grafana-postgresql-datasource", uid="truthline")
TAG = "truthline"
WINDOW = "$__timeFrom(), $__timeTo()"
# A grid that never moves, so that a refresh doesn't shift every bucket.
GRID = "origin => TIMESTAMPTZ '2000-01-03 00:00Z'"

Panel = timeseries.Panel | stat.Panel | table.Panel
AnyPanel = Panel | trend.Panel
P = TypeVar("P", timeseries.Panel, stat.Panel, table.Panel)


@dataclass(frozen=True)
class Sql(variants.Dataquery):
    """A query as Grafana's PostgreSQL data source reads it."""

    text: str
    format: str

    def to_json(self) -> dict[str, object]:
        """Its JSON."""
        return {
            "refId": "A",
            "datasource": SOURCE,
            "format": self.format,
            "editorMode": "code",
            "rawQuery": True,
            "rawSql": self.text,
        }


@dataclass(frozen=True)
class Query(builder.Builder[variants.Dataquery]):
    """The same as the SDK wants it."""

    text: str
    format: str = "table"

    def build(self) -> variants.Dataquery:
        """Build it."""
        lines = self.text.strip("\n").splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        return Sql("\n".join(line[indent:].rstrip() for line in lines).strip(), self.format)


def unit_of(measure: Measure) -> str:
    """The unit of a panel, or of a column, that shows a measure."""
    return UNITS.get(measure.unit, "short")


def columns(measures: Iterable[Measure]) -> str:
    """The measures as columns of a query, under their own names."""
    return ", ".join(f'"{measure.column_name}"' for measure in measures)


def titled(measures: Iterable[Measure]) -> str:
    """The same as lines of a chart, under their short titles."""
    return ",\n           ".join(f'"{one.column_name}" AS "{one.label}"' for one in measures)


def units(measures: Iterable[Measure]) -> dict[str, str]:
    """The units of columns under their own names, where Grafana has a name for them."""
    return {one.column_name: UNITS[one.unit] for one in measures if one.unit in UNITS}


TAGS = "truthline.tag_filter(ARRAY[${tag:sqlstring}])"


def of_model(
    function: str, *more: str, after: str = "", version: bool = True, part: bool = True
) -> str:
    """A call of a function by name for the model that the variables name.

    `more` are arguments by name, or those before the window; `after` is what follows it. Without
    `part`, the version and the tags are not among them.
    """
    arguments = [
        "${workspace:sqlstring}",
        "${model:sqlstring}",
        *(argument for argument in more if "=>" not in argument),
        WINDOW,
        *([after] if after else []),
        "namespace => ${namespace:sqlstring}",
        "pipeline => ${pipeline:sqlstring}",
        *(["version => ${version:sqlstring}"] if version and part else []),
        *([f"tags => {TAGS}"] if part else []),
        *(argument for argument in more if "=>" in argument),
    ]
    between = ",\n        "
    return f"truthline.{function}(\n        {between.join(arguments)})"


def buckets(function: str, *more: str, version: bool = True) -> str:
    """The same in buckets of the chosen interval."""
    return of_model(function, *more, "width => '$interval'", GRID, version=version)


def compared(measures: Sequence[Measure]) -> table.Panel:
    """The metrics of the range compared with those of the range of equal length before it."""
    places = ", ".join(
        f"('{one.column_name}', '{one.label}', {place})" for place, one in enumerate(measures)
    )
    start, end = "$__timeFrom()::timestamptz", "$__timeTo()::timestamptz"
    before = f"{start} - ({end} - {start}), {start}"
    part = {"version": "${version:sqlstring}", "tags": TAGS}
    sides = [f"{side}_{name} => {value}" for side in "ab" for name, value in part.items()]
    call = of_model("compare", *sides, after=before, part=False)
    return rows(
        "Compared with the period before",
        f"""
    SELECT named.title AS metric, a AS "now", b AS "before", difference, p_value AS "p-value",
           verdict
    FROM {call}
    JOIN (VALUES {places}) AS named (metric, title, place) USING (metric)
    ORDER BY named.place
    """,
        about="A is this range, B the one before; verdicts at 95% confidence",
    )


def drifted(title: str, quantity: str) -> timeseries.Panel:
    """How far a quantity has drifted from the period before, per bucket, and how far by chance."""
    start, end = "$__timeFrom()::timestamptz", "$__timeTo()::timestamptz"
    part = {"version": "${version:sqlstring}", "tags": TAGS}
    sides = [f"{side}_{name} => {value}" for side in "ab" for name, value in part.items()]
    reference = (f"'{quantity}'", f"{start} - ({end} - {start}), {start}")
    wanted = "statistics => '{jensen_shannon}'"
    grid = ("width => '$interval'", GRID)
    call = of_model("drift", *reference, *grid, *sides, wanted, part=False)
    return over_time(
        title,
        f"""
    SELECT bucket_start AS "time", value AS "Jensen-Shannon", noise AS "without drift"
    FROM {call}
    ORDER BY 1
    """,
        within=(0.0, 1.0),
    )


def with_interval(
    measure: Measure,
    function: str,
    *,
    unit: str = "short",
    within: tuple[float, float] | None = None,
) -> timeseries.Panel:
    """A metric over time, with its 95% confidence interval as a band."""
    name = measure.column_name
    panel = over_time(
        f"{measure.title} and its 95% confidence interval",
        f"""
    SELECT bucket_start AS "time", {name} AS "{measure.label}", {name}_low AS "low",
           {name}_high AS "high"
    FROM {buckets(function, "confidence => 0.95")}
    ORDER BY 1
    """,
        about=measure.interval.value if measure.interval else "",
        unit=unit,
        within=within,
    )
    thin = DynamicConfigValue(id_val="custom.lineWidth", value=0)
    fill = DynamicConfigValue(id_val="custom.fillBelowTo", value="low")
    panel.override_by_name("low", [thin])
    return panel.override_by_name("high", [thin, fill])


# --- panels -------------------------------------------------------------------------------


def over_time(
    title: str,
    sql: str,
    *,
    unit: str = "short",
    about: str = "",
    width: int = 12,
    height: int = 8,
    bars: bool = False,
    within: tuple[float, float] | None = None,
) -> timeseries.Panel:
    """Lines over time, or stacked bars, with their last values and means in the legend."""
    panel = (
        _panel(timeseries.Panel(), title, about, width, height)
        .with_target(Query(sql, "time_series"))
        .unit(unit)
        .span_nulls(False)
        .line_width(1)
        .show_points(VisibilityMode.AUTO)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "sum" if bars else "mean"])
        )
        .tooltip(
            common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
        )
    )
    if bars:
        panel.draw_style(GraphDrawStyle.BARS).fill_opacity(60).min(0)
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    if within:
        panel.min(within[0]).max(within[1])
    return panel


def truths(function: str) -> timeseries.Panel:
    """Answered requests with their truth and without, and failed ones."""
    return over_time(
        "Predictions and truths",
        f"""
    SELECT bucket_start AS "time", m.n AS "with truth",
           greatest(v.n - m.n, 0) AS "without truth", v.n_failed AS "failed"
    FROM {buckets(function)} AS m
    JOIN {buckets("prediction_volume")} AS v USING (bucket_start)
    ORDER BY 1
    """,
        bars=True,
    )


def of_versions(function: str) -> str:
    """The FROM clause of a metric `m` of each version `s` of the model, per bucket."""
    return f"""(SELECT DISTINCT version FROM truthline.series
          WHERE {IN_PLACE} AND model = ${{model:sqlstring}}) AS s
    CROSS JOIN LATERAL {buckets(function, "version => s.version", version=False)} AS m"""


def number(
    title: str, sql: str, *, unit: str = "short", about: str = "", decimals: int | None = None
) -> stat.Panel:
    """One number, or several side by side under their names."""
    panel = (
        _panel(stat.Panel(), title, about, 6, 4)
        .with_target(Query(sql))
        .unit(unit)
        .color_mode(BigValueColorMode.NONE)
        .graph_mode(BigValueGraphMode.NONE)
        .text_mode(BigValueTextMode.AUTO)
        .no_value("none")
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    )
    return panel if decimals is None else panel.decimals(decimals)


def rows(
    title: str,
    sql: str,
    *,
    about: str = "",
    width: int = 12,
    height: int = 8,
    units: Mapping[str, str] | None = None,
    links: Mapping[str, Sequence[tuple[str, str]]] | None = None,
) -> table.Panel:
    """A table. `units` are by column; `links` lead from a column's cells to titles and URLs."""
    panel = _panel(table.Panel(), title, about, width, height).with_target(Query(sql))
    panel.no_value("none").filterable(True)
    for column, unit in (units or {}).items():
        panel.override_by_name(column, [DynamicConfigValue(id_val="unit", value=unit)])
    for column, targets in (links or {}).items():
        cells = [{"title": name, "url": url} for name, url in targets]
        panel.override_by_name(column, [DynamicConfigValue(id_val="links", value=cells)])
    return panel


def _panel(panel: P, title: str, about: str, width: int, height: int) -> P:
    panel.title(title).datasource(SOURCE).span(width).height(height).interval("1m")
    return panel.description(about) if about else panel


# --- variables ----------------------------------------------------------------------------


def choice(name: str, label: str, sql: str, *, optional: bool = False) -> dashboard.QueryVariable:
    """One of what a query yields; where it is optional, all stands for NULL and comes first."""
    variable = (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(" ".join(sql.split()))
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(False)
        .include_all(optional)
    )
    if optional:
        everything = VariableOption(selected=True, text="All", value="$__all")
        variable.all_value("NULL").current(everything)
    return variable


def workspace() -> dashboard.QueryVariable:
    """Of those that the data source's role sees."""
    return choice("workspace", "Workspace", "SELECT workspace FROM truthline.workspaces ORDER BY 1")


IN_WORKSPACE = "workspace = ${workspace:sqlstring}"
IN_PLACE = (
    f"{IN_WORKSPACE} AND namespace = coalesce(${{namespace:sqlstring}}, namespace)"
    " AND pipeline = coalesce(${pipeline:sqlstring}, pipeline)"
)


def model(kind: str | None = None) -> list[dashboard.QueryVariable]:
    """A model of a kind, where it is, its version, and a tag of its predictions."""
    of_kind = f" AND coalesce(kind, '{kind}') = '{kind}'" if kind else ""
    models = "FROM truthline.models WHERE"
    asked = {
        "namespace": f"SELECT DISTINCT namespace {models} {IN_WORKSPACE}{of_kind}",
        "pipeline": f"SELECT DISTINCT pipeline {models} {IN_WORKSPACE}{of_kind}",
        "model": f"SELECT DISTINCT model {models} {IN_PLACE}{of_kind}",
        "version": f"SELECT DISTINCT version FROM truthline.series WHERE {IN_PLACE}"
        " AND model = ${model:sqlstring}",
        "tag": "SELECT DISTINCT tag.key || ':' || tag.value FROM truthline.series"
        f" CROSS JOIN LATERAL jsonb_each_text(tags) AS tag WHERE {IN_PLACE}"
        " AND model = ${model:sqlstring}",
    }
    return [
        choice(name, name.capitalize(), f"{sql} ORDER BY 1", optional=name != "model")
        for name, sql in asked.items()
    ]


def interval() -> dashboard.IntervalVariable:
    """The width of buckets: by itself about a hundred of them, none shorter than a minute."""
    return (
        dashboard.IntervalVariable("interval")
        .label("Interval")
        .values("1m,5m,15m,30m,1h,6h,12h,1d,7d")
        .auto(True)
        .step_count(100)
        .min_interval("1m")
        .current(VariableOption(selected=True, text="auto", value="$__auto_interval_interval"))
    )


@dataclass(frozen=True)
class Annotations(builder.Builder[AnnotationQuery]):
    """Marks on all charts of a dashboard, where a query has rows."""

    name: str
    text: str

    def build(self) -> AnnotationQuery:
        """Build it. The SDK's own target knows no SQL."""
        target: Any = Query(self.text).build()
        return AnnotationQuery(self.name, SOURCE, icon_color="red", target=target)


def verdicts() -> Annotations:
    """Where windows end whose verdict is a warning or critical, or has been revised."""
    return Annotations(
        "Verdicts of monitors",
        f"""
    SELECT window_end AS "time", monitor || ': ' || state || coalesce(
               ', was ' || revised_state || ' before ' || learned || ' truths', '') AS "text",
           concat_ws(',', state, nullif(part, '')) AS "tags"
    FROM truthline.verdicts
    WHERE {IN_PLACE} AND model = ${{model:sqlstring}}
      AND window_end >= $__timeFrom() AND window_end < $__timeTo()
      AND (state IN ('warning', 'critical') OR revised_state IN ('warning', 'critical'))
    ORDER BY 1
    """,
    )


def board(
    name: str,
    title: str,
    about: str,
    variables: Sequence[builder.Builder[Any]],
    panels: Sequence[AnyPanel],
    *,
    since: str = "now-24h",
    annotated: bool = False,
) -> Dashboard:
    """A dashboard, with links to the others that carry the time range and the variables.

    If it is `annotated`, its charts mark the verdicts of monitors of its model.
    """
    made = (
        dashboard.Dashboard(title)
        .uid(f"{TAG}-{name}")
        .description(about)
        .tags([TAG])
        .timezone("browser")
        .time(since, "now")
        .refresh("1m")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("Truthline")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
    )
    if annotated:
        made.annotation(verdicts())
    for variable in variables:
        made.with_variable(variable)
    for place, panel in enumerate(panels, start=1):
        made.with_panel(panel.id(place))
    return made.build()
