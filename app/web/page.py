"""The page as a Dash application: a shell, and panels that are loaded individually.

The URL determines what a page shows. One callback turns the controls into the URL's query and back;
each panel is loaded again when the query changes or the timer ticks.
"""

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dash
import dash_mantine_components as dmc
import flask
from dash import ALL, MATCH, ClientsideFunction, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component
from markupsafe import Markup

from app.errors import TruthlineError, UnknownModel
from app.store.database import Database
from app.web import markup, shell
from app.web.basis import basis_text, panel_context
from app.web.comparison import chosen
from app.web.files import PLOTLY, address, names
from app.web.markup import to_component
from app.web.pages import PAGES
from app.web.panels import Node, Nodes, Page, Panel
from app.web.question import EVERY, REFRESHES, Question, members_of, query_string
from app.web.selects import SHOWN
from app.web.session import MAY_CHANGE, WORKSPACE
from app.web.tables import labelled

PREFIX = "/web/"
# The property of a panel with the query that it is to show.
WANTED = "data-wanted"
# The script that runs first, the style that others refine, and that of another page.
BEFORE, STYLE, LOGIN = "before.js", "style.css", "login.css"
ELSEWHERE = markup.P(markup.A("All models", href="/"))
CRASHED = "Something went wrong on the server; its log has the cause."
_log = logging.getLogger(__name__)

INDEX = """<!doctype html>
<html lang="en">
<head>
  {%metas%}
  <title>Truthline</title>
  <link rel="icon" type="image/svg+xml" href="[[icon]]">
  <script src="[[before]]" data-plotly="[[plotly]]"></script>
  {%css%}
  [[styles]]
</head>
<body>
  <div id="stale" role="alert" hidden></div>
  {%app_entry%}
  <footer>{%config%}[[scripts]]{%scripts%}{%renderer%}</footer>
</body>
</html>
"""
THEME: Any = {
    "primaryColor": "indigo",
    "fontFamily": "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
    "defaultRadius": "sm",
}


def build(database: Database, *, auth: bool, root: str = "") -> dash.Dash:
    """Create the Dash application, with its own Flask application that gets forwarded requests."""
    app = dash.Dash(
        "app.web",
        routes_pathname_prefix=PREFIX,
        requests_pathname_prefix=root + PREFIX,
        include_assets_files=False,  # their addresses have our fingerprints
        index_string=_index(),
        update_title="",
        suppress_callback_exceptions=True,
        add_log_handler=False,
    )
    app.server.config["PROPAGATE_EXCEPTIONS"] = True  # the service's own error handlers format them
    app.layout = _layout(auth=auth, root=root)
    _connect(app, database)
    return app


def _index() -> str:
    """The page's HTML with the addresses of our assets."""
    sheets = (STYLE, *names(".css", STYLE, LOGIN))
    styles = (f'<link rel="stylesheet" href="{address(name)}">' for name in sheets)
    scripts = (f'<script src="{address(name)}"></script>' for name in names(".js", BEFORE))
    parts = {
        "icon": address("icon.svg"),
        "before": address(BEFORE),
        "plotly": address(PLOTLY),
        "styles": "".join(styles),
        "scripts": "".join(scripts),
    }
    return re.sub(r"\[\[(\w+)\]\]", lambda match: parts[match[1]], INDEX)


def _layout(*, auth: bool, root: str) -> Component:
    leave = html.Form(
        html.Button("Log out", type="submit", className="quiet-button"),
        action=f"{root}/logout",
        method="POST",
    )
    return dmc.MantineProvider(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Interval(id="tick", disabled=True),
            html.A("Skip to the content", href="#content", className="skip"),
            html.Header(
                [
                    dcc.Link("Truthline", href=f"{root}/", className="brand"),
                    html.Nav(id="navigation", **labelled("Pages")),
                    dmc.ColorSchemeToggle(
                        lightIcon="☾",
                        darkIcon="☀",
                        id="theme",
                        variant="subtle",
                        color="gray",
                        **labelled("Light or dark"),
                    ),
                    *([leave] if auth else []),
                ]
            ),
            shell.controls(),
            html.Div(id="refused", role="alert"),
            html.Main(id="content", tabIndex=-1),
        ],
        theme=THEME,
        defaultColorScheme="auto",
        id="provider",
    )


def _connect(app: dash.Dash, database: Database) -> None:
    values = [Output(name, "value") for name in shell.CONTROLS]

    @app.callback(
        Output("url", "search"),
        *values,
        Output("refused", "children"),
        Output("tick", "disabled"),
        Output("tick", "interval"),
        Input("url", "search"),
        Input("tick", "n_intervals"),
        *(Input(name, "value") for name in shell.CONTROLS),
    )
    def keep_url_and_controls(search: str, *_more: Any) -> list[Any]:
        return _kept(search or "", ctx.triggered_id)

    @app.callback(
        Output("navigation", "children"),
        Output("navigation", "data-title"),
        Input("url", "pathname"),
        Input("url", "search"),
    )
    def lead_on(path: str, search: str) -> tuple[list[Component], str]:
        members, path = members_of(search or ""), _local(path)
        return shell.navigation(path, members), shell.title(path, members)

    @app.callback(Output("content", "children"), Input("url", "pathname"))
    def open_page(path: str) -> list[Component]:
        page = PAGES.get(_local(path))
        return frame(page) if page else [html.P("There is no such page.")]

    @app.callback(
        Output("url", "search", allow_duplicate=True),
        Input({"choice": ALL}, "value"),
        State("url", "search"),
        State({"choice": ALL}, SHOWN),
        prevent_initial_call=True,
    )
    def choose(_choices: Any, search: str, shown: list[str | None]) -> Any:
        names = [one["id"] for one in ctx.inputs_list[0]]
        value = ctx.triggered[0]["value"]
        was = dict(zip(map(str, names), shown, strict=False)).get(str(ctx.triggered_id))
        chosen = _chosen(search or "", ctx.triggered_id, value, was)
        is_same = chosen is None or members_of(chosen) == members_of(search or "")
        return no_update if is_same else chosen

    app.clientside_callback(  # assets/panels.js chooses the moment for each panel
        ClientsideFunction("panels", "want"),
        Input("url", "search"),
        Input("tick", "n_intervals"),
    )

    @app.callback(
        Output({"panel": MATCH}, "children"),
        Input({"panel": MATCH}, WANTED),
        State("url", "pathname"),
        State({"panel": MATCH}, "id"),
        prevent_initial_call=True,
    )
    def show_panel(search: str | None, path: str, id_: dict[str, str]) -> Any:
        page = PAGES.get(_local(path))
        panels = page.panels if page else ()
        panel = next((panel for panel in panels if panel.name == id_["panel"]), None)
        if panel is None:
            return no_update
        return render_panel(database, panel, search or "", alone=panel is panels[0])


def _local(path: str) -> str:
    """The path that a browser shows, without the sub-path."""
    return path.removeprefix(flask.request.script_root)


def _chosen(search: str, trigger: Any, value: Any, shown: Any = None) -> str | None:
    """The query after a choice within a panel; None if none was made.

    A list that appears is reported like a choice, of the value that it shows.
    """
    if value is None or not isinstance(trigger, dict):
        return None
    name = trigger.get("choice", "")
    members: dict[str, str | None] = {**members_of(search)}
    if value == shown and not members.get(name):
        return None
    if name == "compare":
        question = Question.read(search, datetime.now(UTC))
        return query_string(members | chosen(question, value))
    new = None if value == EVERY else value
    if (new or None) == (members.get(name) or None):
        return None
    # other requests than those that the page of a list continues
    return query_string(members | {name: new, "cursor": None})


def _kept(search: str, trigger: Any) -> list[Any]:
    """The URL's query, the controls' values, their error, and the state of the timer."""
    unchanged = [no_update] * (len(shell.CONTROLS) + 4)
    now = datetime.now(UTC)
    try:
        question = Question.read(search, now)
        if trigger in shell.CONTROLS:
            control = next(iter(ctx.triggered))
            members = shell.changed(question, trigger, control["value"])
            search = query_string(members)
            if search == query_string(question.members):
                return unchanged
            question = Question.read(search, now)
            new_search: Any = search or "?"
        else:
            new_search = no_update
    except TruthlineError as error:
        return [*unchanged[:-3], sentence(error), True, no_update]
    seconds = REFRESHES.get(question.members.get("refresh", ""), 0)
    return [new_search, *shell.state(question), None, not seconds, 1000 * (seconds or 60)]


def frame(page: Page) -> list[Component]:
    """A page before its panels are loaded."""
    title = [html.H1(page.title)] if page.title else []
    return [*title, *(_frame(panel) for panel in page.panels)]


def _frame(panel: Panel[Any]) -> Component:
    body = html.Div(html.P("Loading …", className="quiet", role="status"), id={"panel": panel.name})
    return html.Section(body, className=f"panel panel-{panel.name}")


def render_panel(
    database: Database, panel: Panel[Any], search: str, *, alone: bool = True
) -> list[Component]:
    """A panel's content, or why it can't be shown.

    An unknown model is reported once: a panel that is not `alone` stays empty then.
    """
    try:
        question = Question.read(search, datetime.now(UTC))
        with database.asking(question.as_of) as conn:
            workspace_id = flask.request.environ[WORKSPACE]
            may_change = bool(flask.request.environ.get(MAY_CHANGE))
            context = panel_context(
                conn, database.registry, workspace_id, question, may_change=may_change
            )
            result = panel.find(context)
            basis = panel.basis(context) if panel.basis else None
        nodes = _as_list(panel.show(question, result))
        if nodes and basis and not basis.exact:
            nodes.append(
                markup.P(basis_text(question, basis), className="quiet basis", role="note")
            )
    except UnknownModel as error:
        nodes = [_refusal(sentence(error)), ELSEWHERE] if alone else None
    except TruthlineError as error:
        nodes = [_refusal(sentence(error))]
    except Exception:  # noqa: BLE001 - any error is logged, and does not affect other panels
        _log.exception("panel %s failed", panel.name)
        nodes = [_refusal(CRASHED)]
    if nodes is None:
        return []
    return [_component(node) for node in (*_title(panel, search), *nodes)]


def _as_list(nodes: Nodes) -> list[Node] | None:
    if nodes is None:
        return None
    return [nodes] if isinstance(nodes, Markup | Component) else list(nodes)


def _component(node: Node) -> Component:
    return to_component(node) if isinstance(node, Markup) else node


def _refusal(words: str) -> Markup:
    return markup.P(words, role="alert", className="refusal")


def sentence(error: TruthlineError) -> str:
    """The text of an error, as a sentence."""
    text = str(error)
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _title(panel: Panel[Any], search: str) -> Iterator[Markup]:
    if not panel.title:
        return
    words = f"{panel.title} as CSV"
    href = f"/export/{panel.name}.csv{search}"
    csv = markup.A(
        "CSV", href=href, download=f"{panel.name}.csv", className="csv", **labelled(words)
    )
    heads = [markup.H2(panel.title), csv if panel.rows else None]
    yield markup.Div(heads, className="panel-head")
