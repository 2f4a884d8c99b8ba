"""Names that are markup or formulas: text in every figure and in every export."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest
from dash import dcc

from app.web import charts
from app.web.question import Question
from tests.api.given import START, append, predict, prediction, record, recorded, tell, verdict

MARKUP = '<a href="https://x.example">$\\alpha$ & <b>b</b>'
SHOWN = '&lt;a href="https://x.example"&gt;&#36;\\alpha&#36; &amp; &lt;b&gt;b&lt;/b&gt;'
FORMULA = '=HYPERLINK("https://x.example","open")'
QUESTION = Question.read("?range=24h", datetime(2026, 3, 1, tzinfo=UTC))
STARTS = [QUESTION.window.start]


def graph_of(figure):
    """The chart within its caption and tools."""
    return next(part for part in figure.children if isinstance(part, dcc.Graph))


@pytest.mark.parametrize(
    "chart",
    [
        charts.lines("t", QUESTION, STARTS, {MARKUP: [1.0], "other": [2.0]}),
        charts.bars("t", QUESTION, STARTS, [1.0], {MARKUP: [1.0], "other": [2.0]}),
        charts.curves("t", {MARKUP: ([1], [1.0]), "other": ([1], [2.0])}),
    ],
    ids=["lines", "bars", "curves"],
)
def test_a_name_is_no_markup_to_plotly(chart):
    legend, graph, _ = chart.children

    assert [one.name for one in graph.figure.data] == [SHOWN, "other"]
    drawn = getattr(legend, "data-markup")
    assert "&lt;b&gt;b&lt;/b&gt;" in drawn
    assert "&amp;lt;" not in drawn  # escaped once


def test_executions_on_an_axis_are_names():
    chart = charts.curves("t", {"loss": ([MARKUP, "2026-03-01", "7"], [1.0, 2.0, 3.0])})
    figure = graph_of(chart).figure

    assert list(figure.data[0].x) == [SHOWN, "2026-03-01", "7"]
    assert figure.layout.xaxis.type == "category"
    assert "<a" not in json.dumps(figure.to_plotly_json(), default=str)


def test_places_in_a_list_are_numbers():
    chart = charts.curves("t", {"x": ([1, 2], [1.0, 2.0])})
    assert graph_of(chart).figure.layout.xaxis.type is None


@pytest.fixture
def page(client, workspace):
    """A client with a session, in a workspace whose every name is a formula."""
    model = dict.fromkeys(("namespace", "pipeline", "model"), FORMULA)
    named = model | {"requestId": "r", "label": FORMULA}
    parts = {"deployment": FORMULA, "version": FORMULA, "confidence": 0.5}
    verdict(predict(client, prediction(**named, **parts)))
    verdict(tell(client, named))
    recorded(record(client, FORMULA, -1.5, execution=FORMULA))
    recorded(append(client, FORMULA, [-0.5], execution=FORMULA))
    client.post("/login", data={"key": workspace.admin_key})
    return client


def test_no_export_holds_a_formula(page):
    window = {"startTime": START.isoformat(), "endTime": "2025-02-26T00:00:00Z"}
    asked = window | dict.fromkeys(("namespace", "pipeline", "model"), FORMULA)
    held = 0
    for panel in ("models", "bucket", "stats", "versions", "scalars", "curves", "trend", "levels"):
        of_executions = panel in ("scalars", "curves", "trend")
        answer = page.get(f"/export/{panel}.csv", query_string={} if of_executions else asked)
        assert answer.status_code == 200, answer.text
        cells = [cell for row in csv.reader(io.StringIO(answer.text)) for cell in row]
        held += sum(cell == f"'{FORMULA}" for cell in cells)
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))], panel
    assert held > 10


def test_numbers_of_an_export_stay_numbers(page):
    rows = list(csv.reader(io.StringIO(page.get("/export/curves.csv").text)))

    assert [float(row[3]) for row in rows[1:]] == [-0.5]
