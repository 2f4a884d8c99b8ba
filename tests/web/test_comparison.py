"""What a model's page compares: its windows, its words, and how charts show few truths."""

from datetime import UTC, datetime, timedelta

import pytest
from truthline.plots import buckets, theme

from app.errors import InvalidInput, InvalidWindow
from app.query.intervals import Interval
from app.query.measures import CLASSIFICATION, REGRESSION
from app.query.noise import FEW
from app.query.window import Window
from app.web import charts
from app.web.comparison import WINDOW, choice, chosen, interval_text, words
from app.web.question import Question, query_string
from tests.web.test_names import graph_of

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SPAN = "2026-03-01T10:00:00Z/2026-03-01T12:00:00Z"
TWO_HOURS = Window(datetime(2026, 3, 1, 10, tzinfo=UTC), datetime(2026, 3, 1, 12, tzinfo=UTC))


def read(**members):
    return Question.read(query_string(members), NOW)


@pytest.mark.parametrize(
    "text",
    [SPAN, "2026-03-01 10:00 to 2026-03-01 12:00", " 2026-03-01T10:00 / 2026-03-01T13:00+01:00 "],
)
def test_a_window_can_be_typed_and_pasted(text):
    assert read(after=text).after == TWO_HOURS
    assert read(before=text).before == TWO_HOURS


def test_a_typed_window_is_by_the_clocks_of_the_zone():
    question = read(after="2026-03-01 11:00 to 2026-03-01 13:00", timeZone="Europe/Paris")

    assert question.after == TWO_HOURS
    assert words(question, TWO_HOURS) == "2026-03-01 11:00 to 13:00"
    assert interval_text(TWO_HOURS) == SPAN


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yesterday", "after must be two times"),
        ("2026-03-01T10:00Z/", "after needs both"),
        ("2026-03-01T10:00Z/2026-03-01T12:00Z/2026-03-01T13:00Z", "after must be two times"),
        ("2026-03-01T12:00Z/2026-03-01T10:00Z", "must be after its start"),
    ],
)
def test_no_window_is_refused_in_words(text, said):
    with pytest.raises((InvalidInput, InvalidWindow), match=said):
        read(after=text)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"before": "none"},
        {"before": SPAN},
        {"beforeVersion": "v1"},
        {"beforeVersion": "version:none"},
    ],
)
def test_what_is_compared_is_a_choice_that_changes_nothing_when_it_is_drawn(members):
    question = read(**members)

    assert chosen(question, choice(question)) == {}


def test_a_choice_changes_what_is_compared():
    question = read(after=SPAN)

    assert chosen(question, "version:v1") == {"before": None, "beforeVersion": "v1"}
    assert chosen(question, "none") == {"before": "none", "beforeVersion": None}
    typed = chosen(question, WINDOW)["before"]
    assert read(before=typed).before == Window(
        TWO_HOURS.start - timedelta(hours=2), TWO_HOURS.start
    )


def test_charts_have_the_colours_dashes_and_markers_of_the_clients_figures():
    palette = (theme.BLUE, theme.VERMILION, theme.GREEN, theme.PURPLE, theme.ORANGE)
    assert palette == charts.COLOURS
    for style in (*buckets.CLASSIFICATION, *buckets.ERRORS):
        nth = charts.STYLES[style.metric]
        drawn = charts.COLOURS[nth], charts.DASHES[nth], charts.SYMBOLS[nth]
        assert drawn == (style.color, style.dash, style.symbol), style.metric
    assert charts.STYLES.keys() <= {*CLASSIFICATION, *REGRESSION}


def test_points_with_few_truths_are_faded_and_their_number_is_drawn():
    question = read(range="24h", interval="12h")
    starts = [question.window.start, question.window.start + timedelta(hours=12)]
    counts = [FEW, FEW - 1]
    figure = graph_of(charts.lines("t", question, starts, {"x": [0.5, 0.25]}, counts=counts)).figure
    all_points, enough, truths = figure.data

    assert (list(all_points.y), all_points.opacity) == ([0.5, 0.25], charts.FADED)
    assert (list(enough.y), enough.opacity) == ([0.5, None], None)
    assert list(truths.y) == counts
    unfaded = graph_of(charts.lines("t", question, starts, {"x": [0.5, 0.25]}, counts=[FEW, FEW]))
    assert [line.opacity for line in unfaded.figure.data] == [None, None]


def test_a_band_is_drawn_where_there_are_intervals():
    """Around runs of buckets: of two, of none, and of one, whose band is as wide as the bucket."""
    question = read(range="24h", interval="6h")
    starts = [question.window.start + n * timedelta(hours=6) for n in range(4)]
    bounds = [Interval(0.4, 0.6), Interval(0.5, 0.7), None, Interval(0.1, 0.2)]
    values = {"x": [0.5, 0.6, None, 0.15], "y": [1.0] * 4}
    figure = graph_of(charts.lines("t", question, starts, values, bands={"x": bounds})).figure
    line, band, other = figure.data

    assert (line.name, band.name, other.name) == ("x", "x", "y")
    middles = list(line.x)
    edges = [question.clock(edge) for edge in (starts[3], question.window.end)]
    assert list(band.x) == [*middles[:2], *middles[1::-1], None, *edges, *reversed(edges)]
    assert list(band.y) == [0.6, 0.7, 0.5, 0.4, None, 0.2, 0.2, 0.1, 0.1]
    assert (band.fill, band.line.width, band.hoverinfo) == ("toself", 0, "skip")
    drawn = charts.lines("t", question, starts, values, bands={"x": [None] * 4})
    assert len(graph_of(drawn).figure.data[1].x or ()) == 0


def test_faded_points_are_those_of_the_line_not_of_its_band():
    question = read(range="24h", interval="12h")
    starts = [question.window.start, question.window.start + timedelta(hours=12)]
    bounds = {"x": [Interval(0.4, 0.6), None]}
    chart = charts.lines("t", question, starts, {"x": [0.5, 0.25]}, counts=[FEW, 1], bands=bounds)
    line, band, enough, _ = graph_of(chart).figure.data

    assert (line.opacity, band.opacity) == (charts.FADED, None)
    assert list(enough.y) == [0.5, None]
