"""The overview answers on its first screen which model got worse."""

import csv
import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from app.auth.workspaces import default_workspace
from app.errors import InvalidInput
from app.factory import create_app
from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.predictions import Prediction, ingest_predictions
from app.query.inferences import Compared
from app.query.noise import Interval
from app.query.overview import ModelOverview
from app.store.database import Database
from app.store.registry import Kind, ModelName
from app.web.export import as_csv
from app.web.overview import show_models
from app.web.question import Question
from app.web.triage import COLUMNS, STATES, in_state, selected, sort_models
from tests.api.live import Keeping, serving
from tests.web.test_pages import PHONE, serious

NOW = datetime(2026, 3, 4, 10, 41, 7, tzinfo=UTC)
START = datetime(2026, 3, 1, 10, tzinfo=UTC)
LENGTH = timedelta(hours=1)
WORSE, BETTER, NOISE = Interval(-0.2, -0.1), Interval(0.1, 0.2), Interval(-0.1, 0.2)
LONG = "customer-lifetime-value-regressor-emea-retail-with-seasonality-2026-q4-champion-" + "x" * 60


def model(name, kind=Kind.CLASSIFICATION, headline=(0.8, 0.9), change=None, **more):
    """A model as a query returns it."""
    plain = {
        "inferences": Compared(100, 100),
        "errors": Compared(0, 0),
        "latency": Compared(0.1, 0.1),
        "truths": Compared(100, 100),
        "failure_change": None,
    }
    given = plain | more
    return ModelOverview(
        ModelName(given.pop("namespace", ""), "", name),
        kind,
        headline=Compared(*headline),
        headline_change=change,
        bucket_headlines=[0.5],
        **given,
    )


def names(models):
    return [one.name.name for one in models]


def question(**members):
    return Question.read("?" + urlencode(members), NOW)


MODELS = [
    model("noise up", headline=(0.91, 0.9), change=NOISE),
    model("grown", Kind.REGRESSION, (2.0, 1.0), Interval(0.5, 1.5), namespace="b"),
    model("shrunk", Kind.REGRESSION, (1.0, 2.0), Interval(-1.5, -0.5)),
    model("fallen", headline=(0.6, 0.9), change=WORSE, namespace="a"),
    model("slipped", headline=(0.89, 0.9), change=WORSE, namespace="a"),
    model("failing", change=NOISE, failure_change=Interval(0.01, 0.02), errors=Compared(9, 0)),
    model("gone", change=None, headline=(None, 0.9), inferences=Compared(0, 30)),
    model("noise down", headline=(0.88, 0.9), change=Interval(-0.2, 0.1)),
    model("new", None, (None, None), truths=Compared(0, 0)),
    model("risen", headline=(0.95, 0.9), change=BETTER),
]


def test_the_worst_is_first_and_noise_is_behind_what_is_known():
    """Errors of 10 % that became 40 % have grown more than an error that doubled."""
    assert names(sort_models({}, MODELS)) == [
        "fallen",
        "grown",
        "slipped",
        "failing",
        "gone",
        "noise down",
        "noise up",
        "risen",
        "shrunk",
        "new",
    ]
    assert names(sort_models({"sort": "-change"}, MODELS))[0] == "shrunk"


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
@pytest.mark.parametrize("sign", ["", "-"])
def test_every_column_sorts_with_unknown_values_last(column, sign):
    found = [column.of(one) for one in sort_models({"sort": sign + column.name}, MODELS)]
    known = [value for value in found if value is not None]

    assert found == sorted(known, reverse=bool(sign)) + [None] * (len(found) - len(known))


@pytest.mark.parametrize("members", [{"sort": "colour"}, {"sort": "-"}])
def test_an_unknown_column_is_refused_in_words(members):
    with pytest.raises(InvalidInput, match="sort must be one of name, headline, change"):
        sort_models(members, MODELS)


def test_an_unknown_state_is_refused_in_words():
    with pytest.raises(InvalidInput, match="show must be one of worse, failing, silent"):
        in_state("blue", MODELS)


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("worse", ["grown", "fallen", "slipped"]),
        ("failing", ["failing"]),
        ("silent", ["gone"]),
        ("better", ["shrunk", "risen"]),
        ("unlabelled", ["new"]),
        ("", names(MODELS)),
    ],
)
def test_a_state_selects_its_models(state, found):
    assert names(in_state(state, MODELS)) == found


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({"namespace": "a"}, ["fallen", "slipped"]),
        ({"namespace": "()", "kind": "regression"}, ["shrunk"]),
        ({"kind": "unknown"}, ["new"]),
        ({"q": "NOISE"}, ["noise up", "noise down"]),
        ({"q": "b/gr"}, ["grown"]),
        ({"namespace": "nowhere"}, []),
    ],
)
def test_models_are_filtered(members, found):
    assert names(selected(question(**members), MODELS)) == found


def markup_of(**members):
    nodes = show_models(question(**members), MODELS)
    return "".join(str(node) for node in nodes)


def test_only_what_is_more_than_noise_is_coloured():
    rows = dict(re.findall(r'class="name">([^<]+)</a>(.*?)</tr>', markup_of()))

    tones = {name: re.search(r"judged.*?change (\w+)", row)[1] for name, row in rows.items()}
    assert tones == {
        "fallen": "worse",
        "grown": "worse",
        "slipped": "worse",
        "failing": "same",
        "gone": "none",
        "noise down": "same",
        "noise up": "same",
        "risen": "better",
        "shrunk": "better",
        "new": "none",
    }
    assert "the change is between −20.0 pt and −10.0 pt with 99% confidence" in rows["fallen"]
    assert "within noise" in rows["noise up"]
    assert "silent" in rows["gone"]


def test_states_are_counted_within_the_filters():
    counts = dict(re.findall(r'<a[^>]*class="state[^>]*>([^<]+)<strong>(\d+)', markup_of()))
    assert counts == {
        "All": "10",
        **{state.title: str(len(in_state(state.name, MODELS))) for state in STATES},
    }
    narrowed = markup_of(namespace="a", show="worse")
    assert dict(re.findall(r"state[^>]*>([^<]+)<strong>(\d+)", narrowed)) == {
        "All": "2",
        "Worse": "2",
    }
    assert "namespace=a" in narrowed


# --- in a browser, with two hundred models --------------------------------------------------


@pytest.fixture(scope="module")
def crowd(empty_database_url, template, shared_settings):
    """A workspace of 200 models, of which `m007` got worse and one has a long name."""
    settings = replace(shared_settings, database_url=empty_database_url(template), auth=False)
    database = Database.from_settings(settings)
    workspace_id = default_workspace(database)
    ingest_predictions(database, workspace_id, list(predictions()))
    ingest_feedback(database, workspace_id, list(truths()))
    with serving(create_app(settings, database), Keeping) as url:
        yield url, database, workspace_id
    database.dispose()


def requests():
    """(model, request id, moment, whether it is right)"""
    for number in range(200):
        name = LONG if number == 11 else f"m{number:03}"
        count = 60 if number in (7, 11) else 1
        for half in (0, 1):
            for n in range(count):
                wrong = number == 7 and half and n % 2
                moment = START + (half - 1) * LENGTH + n * timedelta(seconds=30)
                yield name, f"{number}-{half}-{n}", moment, not wrong


def predictions():
    for name, id_, moment, _ in requests():
        value = {"value": 5.0} if name == LONG else {"label": "a"}
        yield Prediction(
            namespace="shop", model=name, request_id=id_, time=moment, latency_seconds=0.1, **value
        )


def truths():
    for name, id_, _, right in requests():
        value = {"value": 4.0} if name == LONG else {"label": "a" if right else "b"}
        yield Feedback(namespace="shop", model=name, request_id=id_, **value)


WINDOW = urlencode(
    {"startTime": START.isoformat()[:19] + "Z", "endTime": (START + LENGTH).isoformat()[:19] + "Z"}
)


def test_the_model_that_got_worse_is_found_without_a_click(visit, crowd):
    url, *_ = crowd
    page = visit(url).open(f"/?{WINDOW}")
    rows = page.locator("table.models tbody tr")

    expect(rows).to_have_count(200)
    expect(rows.first.locator(".name")).to_have_text("m007")
    expect(rows.first.locator(".judged .worse")).to_contain_text("−50.0 pt")
    expect(page.locator(".state.worse strong")).to_have_text("1")
    expect(page.locator(".models .judged .worse")).to_have_count(1)
    page.get_by_role("link", name="Worse").click()
    expect(rows).to_have_count(1)
    assert "show=worse" in page.url


def test_at_every_width_a_model_is_one_line_and_its_numbers_are_in_sight(visit, crowd):
    url, *_ = crowd
    page = visit(url).open(f"/?{WINDOW}&q={LONG[:20]}")
    row = page.locator("table.models tbody tr")
    for width in (PHONE, 820, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        assert row.bounding_box()["height"] <= 36
        boxes = [row.locator(part).bounding_box() for part in (".name", ".headline", ".truths")]
        edge = page.locator(".scroll").bounding_box()
        assert all(box["x"] + box["width"] <= edge["x"] + edge["width"] + 1 for box in boxes[1:])
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": PHONE, "height": 900})
    page.locator(".scroll").evaluate("it => { it.scrollLeft = 500 }")
    assert row.locator(".model").bounding_box()["x"] < PHONE / 4  # it stays
    row.locator(".name").focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert row.locator(".one-line").bounding_box()["width"] > PHONE  # all of the name
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", scheme)
        assert serious(page) == [], scheme


def test_the_csv_has_what_the_page_shows(crowd):
    _, database, workspace_id = crowd
    text = as_csv(database, "models", f"?{WINDOW}&sort=change&q=m0", workspace_id)
    rows = list(csv.DictReader(io.StringIO(text)))

    assert len(rows) == 99
    assert (rows[0]["model"], rows[0]["metric"], rows[0]["headline"]) == ("m007", "accuracy", "0.5")
    assert float(rows[0]["change_high"]) < 0
    assert rows[1]["change_low"] == ""
