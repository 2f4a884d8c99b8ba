"""Two windows side by side: what has drifted, and what a change of the metric comes from."""

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from app.query.changes import By, ChangeDivision, Changes, changes_of, headline_metric
from app.query.drift import Drift, DriftPart, Quantity, Statistic, drift_of
from app.query.measure import Unit
from app.query.question import Basis, Counted
from app.query.window import Window
from app.store.registry import Kind
from app.web import markup as html
from app.web.basis import basis_text, of_model
from app.web.comparison import Pair, described, sides, sides_basis, spans, words
from app.web.panels import Node, Page, Panel, PanelContext, Rows
from app.web.question import Question, query_string
from app.web.tables import note, table
from app.web.units import count, format_number

OF_KIND = {
    Kind.CLASSIFICATION: (
        Quantity.PREDICTED_LABEL,
        Quantity.ACTUAL_LABEL,
        Quantity.CONFIDENCE,
        Quantity.LATENCY,
    ),
    Kind.REGRESSION: (Quantity.VALUE, Quantity.LATENCY),
}
OTHERS = (Quantity.PREDICTED_LABEL, Quantity.CONFIDENCE, Quantity.LATENCY)
COUNTED = (Counted.PREDICTION, Counted.OUTCOME, Counted.SCORE, Counted.LATENCY)
TITLES = {
    Quantity.PREDICTED_LABEL: "Predicted class",
    Quantity.ACTUAL_LABEL: "True class",
    Quantity.CONFIDENCE: "Confidence",
    Quantity.VALUE: "Predicted value",
    Quantity.LATENCY: "Latency (s)",
}
# Wasserstein-1 may read every number of both windows, which takes seconds for millions.
STATISTICS = tuple(one for one in Statistic if one is not Statistic.WASSERSTEIN)
HEADS = {
    Statistic.PSI: "PSI",
    Statistic.JENSEN_SHANNON: "Jensen-Shannon",
    Statistic.HELLINGER: "Hellinger",
    Statistic.TOTAL_VARIATION: "Total variation",
    Statistic.CHI_SQUARED: "χ²",
    Statistic.KS: "Kolmogorov-Smirnov",
}
BY = {
    By.TAG: "tag",
    By.PREDICTED_CLASS: "predicted class",
    By.ACTUAL_CLASS: "true class",
    By.VERSION: "version",
    By.DEPLOYMENT: "deployment",
}
UNLIKELY = 0.01
SHOWN = 12  # parts; more are in the CSV
ALONE = note("Nothing is compared: choose what to compare with on the model's page.")


@dataclass(frozen=True, slots=True)
class Drifts:
    """The drift of each quantity with numbers in any window; None if nothing is compared."""

    drifts: dict[Quantity, Drift] | None


def find_windows(context: PanelContext) -> tuple[Pair[Window], Basis]:
    """Both windows, and the basis of the page. Cost: one or two statements."""
    of_model(context)
    return spans(context), sides_basis(*COUNTED)(context)


def show_windows(question: Question, found: tuple[Pair[Window], Basis]) -> list[Node]:
    """What is shown, side by side, and a link back to the model's page."""
    windows, basis = found
    columns = [_window("after", "after", words(question, windows.after), question.scope.version)]
    if windows.before:
        version = question.before_version or question.scope.version
        before = words(question, windows.before)
        columns.insert(0, _window("before", described(question), before, version))
    back = html.A("the model's page", href="/model" + query_string(question.members))
    return [
        html.H1(question.model.name, className="model-name", title=question.model.name),
        html.P(columns, className="sides"),
        html.P([html.Span("What to compare is chosen on"), " ", back], className="sides"),
        html.P(basis_text(question, basis), className="quiet basis"),
    ]


def _window(side: str, name: str, words: str, version: str | None) -> Markup:
    text = f"{name}: {words}" + (f", {version}" if version else "")
    return html.Span([html.Span(className=f"swatch {side}"), text], className="side")


# --- drift --------------------------------------------------------------------------------


def find_drift(context: PanelContext) -> Drifts:
    """The drift of all quantities of the model. Cost: one statement for each."""
    both = sides(context)
    if both.before is None:
        return Drifts(None)
    kind = of_model(context).subject.kind
    found = {}
    for of in OF_KIND.get(kind, OTHERS) if kind else OTHERS:
        (one,) = drift_of(context.conn, both.before, both.after, of=of, statistics=STATISTICS)
        if one.a_n or one.b_n:
            found[of] = one
    return Drifts(found)


def show_drift(question: Question, result: Drifts) -> list[Node]:
    """A row per quantity with its statistics, and its parts on both sides."""
    if result.drifts is None:
        return [ALONE]
    if not result.drifts:
        return [note("There are no outputs in these windows.")]
    heads = ["Of", described(question), "after", *HEADS.values(), ("Drifted", "text")]
    rows = [[TITLES[of], *_numbers(one)] for of, one in result.drifts.items()]
    parts = [_parts(question, of, one) for of, one in result.drifts.items()]
    return [
        table("Drift", heads, rows, kind="classes"),
        note(
            "Below each statistic is the value that is expected without drift, with so many"
            " predictions. “Drifted” is a p-value below 0.01 of χ² or Kolmogorov-Smirnov."
            " Wasserstein-1 is in the API."
        ),
        html.Div(parts, className="side-by-side"),
    ]


def _numbers(one: Drift) -> Iterator[Markup | str]:
    yield count(one.a_n)
    yield count(one.b_n)
    by_name = {own.statistic: own for own in one.statistics}
    for name in HEADS:
        own = by_name.get(name)
        if own is None or own.value is None:
            yield "-"
            continue
        noise = html.Span(f"~ {_number(own.noise)}", className="was")
        yield html.Span([html.Span(_number(own.value), className="now"), noise], className="both")
    p_values = [own.p_value for own in one.statistics if own.p_value is not None]
    words = "yes" if p_values and min(p_values) < UNLIKELY else "no more than noise"
    yield html.Td(words if p_values else "-", className="text")


def _number(number: float | None) -> str:
    return format_number(number, Unit.NUMBER)


def _parts(question: Question, of: Quantity, one: Drift) -> Markup:
    """Shares of each part in both windows, those that changed most first if there are many."""
    parts = list(one.parts)
    if len(parts) > SHOWN:
        kept = sorted(parts, key=lambda part: -abs(_change(one, part)))[:SHOWN]
        parts = [part for part in parts if part in kept]
    rows = [
        [
            html.Span(_name(part), className="class", title=_name(part)),
            _share(part.a, one.a_n),
            _share(part.b, one.b_n),
            _words(part, one),
        ]
        for part in parts
    ]
    hidden = len(one.parts) - len(parts)
    more = [note(f"{hidden} more are in the CSV.")] if hidden else []
    heads = [TITLES[of], described(question), "after", ("", "text")]
    return html.Div(
        [html.H3(TITLES[of]), table(TITLES[of], heads, rows, kind="classes"), *more],
        className="half",
    )


def _change(one: Drift, part: DriftPart) -> float:
    return part.b / max(one.b_n, 1) - part.a / max(one.a_n, 1)


def _share(number: int, n: int) -> str:
    return format_number(number / n, Unit.SHARE) if n else "-"


def _words(part: DriftPart, one: Drift) -> Markup:
    new, vanished = part in one.new, part in one.vanished
    return html.Td("new" if new else "vanished" if vanished else "", className="text")


def _name(part: DriftPart) -> str:
    if part.label is not None:
        return part.label or "nothing detected"
    if part.lower is None:
        return "all" if part.upper is None else f"below {_bound(part.upper)}"
    if part.upper is None:
        return f"from {_bound(part.lower)}"
    return f"{_bound(part.lower)} to {_bound(part.upper)}"


def _bound(number: float) -> str:
    return f"{number:.4g}"


def drift_rows(_: Question, result: Drifts) -> Rows:
    """A line per quantity and statistic, then a line per part."""
    yield ["of", "statistic", "value", "noise", "p_value", "label", "lower", "upper", "a", "b"]
    for of, one in (result.drifts or {}).items():
        for own in one.statistics:
            numbers = [own.value, own.noise, own.p_value]
            yield [of.value, own.statistic.value, *numbers, None, None, None, one.a_n, one.b_n]
        for part in one.parts:
            yield [of.value, *[None] * 4, part.label, part.lower, part.upper, part.a, part.b]


# --- what changed -------------------------------------------------------------------------


def find_changes(context: PanelContext) -> Changes | None:
    """What the change of the headline metric comes from. Cost: one statement."""
    both = sides(context)
    if both.before is None:
        return None
    metric = headline_metric(of_model(context).subject.kind)
    return changes_of(context.conn, both.before, both.after, metric=metric)


def show_changes(question: Question, result: Changes | None) -> list[Node]:
    """A table per division, the one that stands out most first."""
    if result is None:
        return [ALONE]
    if result.change is None:
        return [note("One of both windows has no truths.")]
    share = result.metric.value == "accuracy"
    unit = Unit.SHARE if share else Unit.OWN
    title = "Accuracy" if share else "MAE"
    sentence = (
        f"{title} went from {format_number(result.a, unit)} to {format_number(result.b, unit)}."
        " Each table divides this change: effects add up to it."
    )
    if not result.divisions:
        return [html.P(sentence), note("No tags, classes, versions or deployments divide it.")]
    return [html.P(sentence), *(_division(question, one, unit) for one in result.divisions)]


def _division(question: Question, division: ChangeDivision, unit: Unit) -> Markup:
    name = f"{BY[division.by]} {division.key or ''}".strip()
    heads = [
        name[:1].upper() + name[1:],
        "Truths " + described(question),
        "Truths after",
        described(question),
        "after",
        "By its metric",
        "By its share",
        "Together",
    ]
    rows = [
        [
            html.Span(part.value or "none", className="class", title=part.value or "none"),
            count(part.a_n),
            count(part.b_n),
            format_number(part.a, unit),
            format_number(part.b, unit),
            *(_signed(effect, unit) for effect in (part.rate_effect, part.mix_effect, part.effect)),
        ]
        for part in division.parts[:SHOWN]
    ]
    hidden = len(division.parts) - SHOWN
    more = [note(f"{hidden} more are in the CSV.")] if hidden > 0 else []
    return html.Div([table(f"What changed, by {name}", heads, rows, kind="classes"), *more])


def _signed(effect: float, unit: Unit) -> str:
    if unit is Unit.SHARE:
        return f"{100 * effect:+.1f} %".replace("-", "−")
    return ("+" if effect > 0 else "") + format_number(effect, unit)


def changes_rows(_: Question, result: Changes | None) -> Rows:
    """A line per division and part."""
    yield ["by", "key", "value", "a", "b", "n_a", "n_b", "rate_effect", "mix_effect", "effect"]
    for division in result.divisions if result else ():
        for part in division.parts:
            numbers = [part.a, part.b, part.a_n, part.b_n]
            effects = [part.rate_effect, part.mix_effect, part.effect]
            yield [division.by.value, division.key, part.value, *numbers, *effects]


PAGE = Page(
    "/drift",
    "",
    (
        Panel("windows", "", find_windows, show_windows),
        Panel(
            "changes",
            "What changed?",
            find_changes,
            show_changes,
            changes_rows,
            sides_basis(Counted.OUTCOME),
        ),
        Panel("drift", "Drift", find_drift, show_drift, drift_rows, sides_basis(*COUNTED)),
    ),
)
