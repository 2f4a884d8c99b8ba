"""Figures show what the results contain, and a gap where there is no value."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from truthline import ClassificationMetrics, ConfusionMatrix, Freshness, Subject
from truthline.plots.theme import Clock, escape

from docs.pictures.scenes import DAY, HOUR, IRIS, IRIS_START, PRICES, RETURNS

TODAY = {"start": DAY, "end": DAY + 24 * HOUR}
ZONES = ["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]


def trace(figure, name):
    (found,) = (one for one in figure.data if one.name == name)
    return found


def title(figure):
    figure.to_json()  # or it could not be shown
    return figure.layout.title.text + " | " + figure.layout.title.subtitle.text


def test_metrics_over_time_have_gaps_where_there_is_no_truth(scenes):
    answer = scenes.classification_metrics(
        **IRIS, start=IRIS_START, end=IRIS_START + timedelta(minutes=2), interval="10s"
    )
    figure = answer.plot()

    accuracy = trace(figure, "Accuracy")
    assert list(accuracy.y) == [0, 0, 0.4375, 0.125, *[None] * 8]
    assert accuracy.connectgaps is False
    assert accuracy.x[0] == datetime(2025, 2, 25, 11, 51, 27)
    assert list(accuracy.customdata[2]) == ["2025-02-25 11:51:42 \N{EN DASH} 11:51:52", 16]
    assert [one.name for one in figure.data if one.name] == [
        *("Accuracy", "Precision", "Recall", "F1", "Specificity")
    ]
    assert len({(one.line.color, one.line.dash, one.marker.symbol) for one in figure.data[:5]}) == 5
    assert list(figure.data[5].y) == [10, 16, 16, 8, *[0] * 8]
    assert "iris-model: classification metrics" in title(figure)
    assert "11:51:22 \N{EN DASH} 11:53:22 UTC · macro average · 8 of 12 buckets" in title(figure)
    assert figure.layout.xaxis2.title.text == "Time (UTC)"
    (shape,) = {(one.x0, one.x1) for one in figure.layout.shapes}
    assert shape == (datetime(2025, 2, 25, 11, 52, 2), datetime(2025, 2, 25, 11, 53, 22))
    assert [one.name for one in answer.plot(["f1"]).data if one.name] == ["F1"]


def test_times_are_those_of_the_zone_asked_for(scenes):
    answer = scenes.classification_metrics(
        **RETURNS, **TODAY, interval="1h", time_zone="Asia/Tokyo"
    )
    figure = answer.plot()

    assert trace(figure, "Accuracy").x[0] == datetime(2026, 3, 2, 9, 30)
    assert figure.layout.xaxis2.title.text == "Time (Asia/Tokyo)"
    assert "2026-03-02 09:00 \N{EN DASH} 2026-03-03 09:00 Asia/Tokyo" in title(figure)


def test_errors_stand_by_their_unit(scenes):
    answer = scenes.regression_metrics(**PRICES, **TODAY, interval="1h")
    figure = answer.plot("k€")

    for name, member in {
        "Mean absolute error": "mean_absolute_error",
        "Mean squared error": "mean_squared_error",
        "Root mean squared error": "root_mean_squared_error",
    }.items():
        assert list(trace(figure, name).y) == [getattr(b, member) for b in answer.buckets]
    assert trace(figure, "Mean absolute error").yaxis != trace(figure, "Mean squared error").yaxis
    assert figure.layout.yaxis.title.text == "Error, k€"
    assert figure.layout.yaxis2.title.text == "Squared error, k€²"
    assert answer.plot().layout.yaxis.title.text == "Error, model's unit"


def test_a_confusion_matrix_has_names_counts_and_shares(scenes):
    answer = scenes.classification_metrics(
        **IRIS, start=IRIS_START, end=IRIS_START + timedelta(minutes=2), interval="10s"
    )
    figure = answer.confusion_matrix(3).plot()

    (cells,) = figure.data
    assert [list(row) for row in cells.z] == [[0, 1, 0]] * 3
    assert list(cells.text[0]) == ["0", "<b>2</b><br>100%", "0"]
    assert (
        cells.hovertext[2][1]
        == "actual <b>Virginica</b>, predicted <b>Versicolor</b><br>5 of 5 (100.0%)"
    )
    assert figure.layout.xaxis.ticktext == ("Setosa", "Versicolor", "Virginica")
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == (
        "Predicted class",
        "Actual class",
    )
    assert "11:51:52 \N{EN DASH} 11:52:02 UTC · 8 truths" in title(figure)
    empty = answer.confusion_matrix(-1).plot()
    assert empty.layout.annotations[0].text == "No truth is known in this bucket."


def test_names_are_no_markup():
    matrix = ConfusionMatrix(
        Subject("a<b>c"), "UTC", DAY, DAY + HOUR, ("<i>x", "y&z"), ((1, 0), (0, 1))
    )
    figure = matrix.plot()

    assert "a&lt;b&gt;c" in title(figure)
    assert figure.layout.xaxis.ticktext == ("&lt;i&gt;x", "y&amp;z")
    assert escape("$\\alpha$ %{y}") == "&#36;\\alpha&#36; %&#123;y}"  # neither TeX nor a template


def test_many_classes_are_identified_by_hovering():
    names = tuple(f"class {number}" for number in range(40))
    values = tuple(tuple(int(row == column) for column in range(40)) for row in range(40))
    figure = ConfusionMatrix(Subject("m"), "UTC", DAY, DAY + HOUR, names, values).plot()

    assert figure.data[0].text is None
    assert figure.layout.height <= 1000
    assert "class 7" in figure.data[0].hovertext[7][7]


def test_periods_next_to_each_other(scenes):
    stats = scenes.inference_stats(**TODAY)
    figure = stats.plot()

    now, before = figure.data[0], figure.data[1]
    assert list(now.x) == [one.inferences.now for one in stats.models]
    assert list(before.x) == [one.inferences.previous for one in stats.models]
    assert list(now.y) == ["shop / checkout / returns-model", "homes / valuation / price-model"]
    assert [axis.title.text for axis in figure.select_xaxes()] == [
        "Inferences",
        "Failed requests, %",
        "Mean latency, ms",
    ]
    assert list(figure.data[4].x) == [one.latency_seconds.now * 1000 for one in stats.models]
    assert "2026-03-02 00:00 \N{EN DASH} 2026-03-03 00:00 UTC" in title(figure)


def test_requests_by_model(scenes):
    models = scenes.models(**TODAY)
    figure = models.plot()

    assert list(trace(figure, "Answered").x) == [one.inferences for one in models.models]
    assert list(trace(figure, "Failed").x) == [one.errors for one in models.models]


@pytest.mark.parametrize(("deployment", "panels"), [("shop-eu", 2), ("homes-eu", 3)])
def test_health_over_time(scenes, deployment, panels):
    health = scenes.health(deployment, **TODAY)
    figure = health.plot()

    assert list(trace(figure, "Answered").y) == [one.predictions for one in health.buckets]
    assert list(trace(figure, "Mean latency").y) == [one.latency_ms for one in health.buckets]
    assert len(list(figure.select_yaxes())) == panels
    if health.spreads:
        boxes = trace(figure, "Minimum, quartiles, maximum")
        assert list(boxes.median) == [one.median for one in health.spreads]


def test_nothing_is_a_figure_too():
    freshness = Freshness(DAY, None)
    empty = ClassificationMetrics(
        Subject("m"), "UTC", True, (), freshness, average="macro", buckets=()
    )

    assert "m: classification metrics" in title(empty.plot())


@given(
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 28), timezones=st.just(UTC)),
    width=st.timedeltas(timedelta(seconds=1), timedelta(hours=3)),
)
@settings(max_examples=200)
def test_no_moment_stands_on_the_axis_twice(zone, start, width):
    instants = [start + n * width for n in range(24)]
    clock = Clock.of(zone, instants)

    shown = [clock.at(instant) for instant in instants]
    assert [later - earlier for earlier, later in pairwise(shown)] == ([width] * 23)
    local = instants[0].astimezone(ZoneInfo(zone)).utcoffset()
    if clock.name == zone:
        assert shown[0] - instants[0].replace(tzinfo=None) == local
