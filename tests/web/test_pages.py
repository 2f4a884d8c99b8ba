"""The pages in a browser: what they show, and that every change of the query is in the URL."""

import csv
import io
import json
import re
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import urlopen

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from sqlalchemy import text

from app.auth.keys import Role, create_key

DIGITS = {"namespace": "demo", "pipeline": "digits-pipeline", "model": "digits"}
DIABETES = {"namespace": "demo", "pipeline": "diabetes-pipeline", "model": "diabetes"}
TUMOURS = {"namespace": "demo", "pipeline": "pathology", "model": "tumours"}
PHONE = 390
HOVERS = 200  # four a second


@pytest.fixture
def window(demo):
    """The demo's six hours, as members of a URL."""
    return {"startTime": written(demo.window.start), "endTime": written(demo.window.end)}


def written(instant):
    return f"{instant:%FT%TZ}"


def link(path, *members):
    return f"{path}?" + urlencode({k: v for one in members for k, v in one.items()})


def members_of(page):
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def panel(page, name):
    return page.locator(f"section.panel-{name}")


def asked(url, path, **query):
    """What the API answers."""
    with urlopen(f"{url}{path}?{urlencode(query)}") as answer:
        return json.load(answer)


def downloaded(visit, name):
    """The CSV of a panel, as dicts."""
    with visit.page.expect_download() as download:
        panel(visit.page, name).get_by_text("CSV").click()
    text_ = download.value.path().read_text()
    return list(csv.DictReader(io.StringIO(text_)))


def choose(page, label, option):
    """Pick an option as a user with a keyboard would."""
    page.get_by_role("textbox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()


# --- what they show -------------------------------------------------------------------------


def test_the_overview_shows_every_model_and_leads_to_it(visit, open_url, demo, window):
    visit = visit(open_url)
    page = visit.open(link("/", window))
    rows = page.locator("table.models tbody tr")

    expect(rows).to_have_count(3)
    answer = asked(open_url, "/api/v1/inference-stats", **window)
    by_model = {one["model"]: one for one in answer["models"]}
    digits = rows.filter(has=page.get_by_role("link", name="digits"))
    assert f"{by_model['digits']['inferences']['now']:,}" in digits.inner_text()

    digits.get_by_role("link", name="digits").click()
    visit.settled()
    expect(page.get_by_role("heading", level=1)).to_have_text("digits")
    assert members_of(page) == window | DIGITS


def test_a_models_page_has_it_all(visit, open_url, window):
    page = visit(open_url).open(link("/model", DIGITS, window))

    titles = page.locator("main h2").all_inner_texts()
    assert titles == [
        "Quality over time",
        "In detail",
        "Predictions over time",
        "Latency",
        "Inference stats",
        "Confidence",
        "Worst slices",
        "Versions",
        "Late and missing truth",
    ]
    expect(panel(page, "versions").locator("tbody th")).to_have_text(["v1", "v2"])
    expect(panel(page, "quality").locator(".js-plotly-plot")).to_be_visible()
    expect(page.locator("script[src*='plotly-basic.min.js?v=']")).to_be_attached()
    expect(page.locator(".refusal")).to_have_count(0)


def test_a_regressors_page_has_its_values_and_no_classes(visit, open_url, window):
    page = visit(open_url).open(link("/model", DIABETES, window))

    titles = page.locator("main h2").all_inner_texts()
    assert titles == [
        "Quality over time",
        "In detail",
        "Predictions over time",
        "Latency",
        "Predicted values",
        "Worst slices",
        "Versions",
        "Late and missing truth",
    ]
    whole = asked(open_url, "/api/v1/metrics/regression", **DIABETES, **window)["buckets"][0]
    said = panel(page, "bucket").locator(".tile").filter(has_text="RMSE").inner_text()
    assert f"{whole['rootMeanSquaredError']:.1f}" in said


def test_the_status_lists_each_level(visit, open_url, demo):
    page = visit(open_url).open("/status")
    with demo.database.reading() as conn:
        levels = conn.execute(text("SELECT name FROM truthline_internal.levels()")).scalars().all()

    assert panel(page, "levels").locator("tbody th").all_inner_texts() == levels


def test_executions_show_scalars_and_curves(visit, open_url):
    visit = visit(open_url)
    page = visit.open("/executions?metric=loss")
    listed = asked(open_url, "/api/v1/executions")["executions"]
    names = [one["execution"] for one in reversed(listed)]

    expect(panel(page, "scalars").locator("tbody .name")).to_have_text(names)
    expect(panel(page, "trend").locator("h3")).to_have_text("loss")
    expect(panel(page, "curves").locator("h3")).to_have_text(["loss", "accuracy"])
    page.get_by_role("link", name=names[0]).click()
    expect(panel(page, "scalars").locator("tbody .name")).to_have_text(names[:1])
    visit.settled()
    rows = [float(row["value"]) for row in downloaded(visit, "curves") if row["name"] == "loss"]
    values = asked(
        open_url, "/api/v1/metrics/steps/values", name="loss", kind="list", execution=names[0]
    )
    assert rows == values["values"]


# --- a bucket -------------------------------------------------------------------------------


def hovered(page, name):
    """Where the mouse is in a chart whose numbers show. A panel may be drawn again until then."""
    chart = panel(page, name).locator(".js-plotly-plot")
    for _ in range(HOVERS):
        if box := chart.locator(".nsewdrag").first.bounding_box():
            middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 3
            page.mouse.move(middle[0] - 2, middle[1])
            page.mouse.move(*middle)
            if "Accuracy" in (chart.locator(".hoverlayer").text_content() or ""):
                return middle
        page.wait_for_timeout(250)
    raise AssertionError("the chart shows no numbers")


def test_a_clicked_bucket_is_shown_in_full(visit, open_url, window):
    """A click on the chart of an hour; its neighbours are reached without a mouse."""
    visit = visit(open_url)
    page = visit.open(link("/model", DIGITS, window, {"interval": "1h"}))
    page.get_by_role("link", name="step through its buckets").press("Enter")
    page.wait_for_url("**bucket=*")
    visit.settled()
    page.mouse.click(*hovered(page, "quality"))
    page.wait_for_url(re.compile("[?&]after="))
    visit.settled()

    clicked = members_of(page)["after"]
    start = clicked.split("/")[0]
    answer = asked(
        open_url, "/api/v1/metrics/classification", **DIGITS, **window, interval="1h", align="epoch"
    )
    bucket = next(b for b in answer["buckets"] if b["startTime"][:19] == start[:19])
    matrix = panel(page, "bucket").locator("table.matrix:has(.sum)").last
    counts = [n for row in bucket["confusionMatrix"] for n in row]
    expect(matrix.locator("tbody td .n")).to_have_text([str(n) if n else "·" for n in counts])
    sums = [sum(row) for row in bucket["confusionMatrix"]]
    expect(matrix.locator("td.sum")).to_have_text([str(n) for n in sums])

    page.get_by_role("link", name="next").press("Enter")
    page.wait_for_url(lambda url: clicked not in url)
    visit.settled()
    assert members_of(page)["after"].startswith(clicked.split("/")[1])


# --- a view is its URL ----------------------------------------------------------------------


def test_what_is_chosen_stands_in_the_url_and_back_leads_back(visit, open_url, window):
    visit = visit(open_url)
    page = visit.open(link("/", window))
    choose(page, "Time range", "Last 7 days")
    page.wait_for_url("**range=7d*")
    choose(page, "Interval", "1 h")
    page.wait_for_url("**interval=1h*")
    visit.settled()
    assert members_of(page) == {"range": "7d", "interval": "1h"}

    page.go_back()
    page.go_back()
    page.wait_for_url(lambda url: "startTime=" in url)
    assert members_of(page) == window
    expect(page.get_by_role("textbox", name="Time range")).to_have_value("From … to …")
    visit.settled()


def test_a_zone_moves_the_clock_and_not_the_window(visit, open_url, demo, window):
    visit = visit(open_url)
    page = visit.open(link("/model", DIGITS, window))
    before = panel(page, "summary").locator("dd").all_inner_texts()
    field = page.get_by_role("textbox", name="Time zone")
    field.click()
    field.fill("Asia/Kathm")
    page.get_by_role("option", name="Asia/Kathmandu").click()
    page.wait_for_url(re.compile("timeZone=Asia"))
    visit.settled()

    start = demo.window.start + timedelta(hours=5, minutes=45)
    expect(page.get_by_label("From", exact=True)).to_have_value(f"{start:%F %T}")
    assert panel(page, "summary").locator("dd").all_inner_texts() == before


def test_a_link_shows_what_was_known_at_a_moment(visit, open_url, demo, window):
    """Nothing was known before the demo was replayed."""
    moment = written(demo.window.start)
    page = visit(open_url).open(link("/model", DIGITS, window, {"asOf": moment}))

    assert "No truth is known" in panel(page, "quality").inner_text()
    assert "As known at" in panel(page, "summary").inner_text()


def test_an_unanswerable_question_is_explained(visit, open_url):
    page = visit(open_url).open(link("/", {"range": "2d"}))

    assert "The range must be one of" in page.locator("#refused").inner_text()
    assert "The range must be one of" in panel(page, "models").inner_text()


def test_an_unknown_model_is_explained(visit, open_url):
    page = visit(open_url).open(link("/model", DIGITS | {"model": "nobody's"}))

    assert "No predictions or subscription of model" in panel(page, "summary").inner_text()


def test_models_are_sorted_and_found(visit, open_url, window):
    visit = visit(open_url)
    page = visit.open(link("/", window))
    names = page.locator("table.models .name")
    page.get_by_role("link", name="Model", exact=True).click()
    expect(names).to_have_text(["diabetes", "digits", "tumours"])
    page.get_by_label("Find a model by name").fill("DIG")
    expect(names).to_have_text(["digits"])
    visit.settled()

    assert members_of(page) == window | {"sort": "name", "q": "DIG"}


def test_a_page_refreshes_by_itself(visit, open_url, window):
    page = visit(open_url).open(link("/", window, {"refresh": "5s"}))
    with page.expect_response(_of_models, timeout=40_000):
        pass


def _of_models(answer):
    return "models" in (answer.request.post_data or "")


# --- CSV ------------------------------------------------------------------------------------


def test_the_csv_equals_the_api(visit, open_url, window):
    visit = visit(open_url)
    visit.open(link("/model", DIGITS, window, {"interval": "30m"}))
    rows = downloaded(visit, "quality")
    answer = asked(
        open_url,
        "/api/v1/metrics/classification",
        **DIGITS,
        **window,
        interval="30m",
        align="epoch",
    )["buckets"]

    assert len(rows) == len(answer) >= 12
    for row, bucket in zip(rows, answer, strict=True):
        for name in ("accuracy", "precision", "recall", "f1", "specificity"):
            assert (float(row[name]) if row[name] else None) == bucket[name]
        assert int(row["n"]) == bucket["n"]
        assert row["startTime"][:19] == bucket["startTime"][:19]


def test_the_csv_of_the_stats_is_what_roboflow_would_say(visit, open_url, window):
    visit = visit(open_url)
    visit.open(link("/model", DIGITS, window))
    rows = {row["predicted_class"]: row for row in downloaded(visit, "stats")}
    period = {name: value.replace("T", " ").rstrip("Z") for name, value in window.items()}
    answer = asked(open_url, "/default/inference-stats", modelNames="digits", **period)

    theirs = {one["predicted_class"]: one for one in answer["inference_stats"]}
    assert rows.keys() == theirs.keys()
    for name, one in theirs.items():
        for member in rows[name].keys() & one.keys():
            value, expected = rows[name][member], one[member]
            assert value == ("" if expected is None else str(expected)), member


# --- who looks ------------------------------------------------------------------------------


def test_a_key_opens_the_door_until_it_is_revoked(visit, guarded_url, demo):
    with demo.database.writing() as conn:
        key = create_key(conn, demo.workspace_id, Role.READ, name="browser")
    visit = visit(guarded_url, fresh=True)
    page = visit.page
    page.goto(guarded_url + link("/model", DIGITS))
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()
    visit.settled()
    assert members_of(page) == DIGITS
    assert page.evaluate("document.cookie") == ""

    with demo.database.writing() as conn:
        conn.execute(text("UPDATE api_key SET revoked_at = now() WHERE name = 'browser'"))
    page.get_by_role("link", name="Status").click()
    page.wait_for_url("**/login?next=*")
    refused = [said for said in visit.complaints if "401" in said]
    visit.complaints[:] = [said for said in visit.complaints if said not in refused]
    assert refused


def test_logging_out_leads_to_the_door(visit, guarded_url, demo):
    looking = visit(guarded_url, fresh=True)
    page = looking.page
    page.goto(guarded_url)
    page.get_by_label("API key").fill(demo.key)
    page.get_by_role("button", name="Log in").click()
    looking.settled()  # requests after logging out are refused
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    page.goto(f"{guarded_url}/status")

    expect(page.get_by_label("API key")).to_be_visible()


# --- how it looks ---------------------------------------------------------------------------


def test_the_theme_is_kept(visit, open_url):
    visit = visit(open_url, fresh=True)
    page = visit.open("/status")
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "light")
    page.get_by_label("Light or dark").click()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    page.reload()
    visit.settled()

    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")


@pytest.mark.parametrize(
    "path",
    [link("/", {"range": "24h"}), link("/model", DIGITS), "/executions", "/status"],
)
def test_a_page_can_be_read_by_all_and_fits_a_phone(visit, open_url, path):
    page = visit(open_url).open(path)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", scheme)
        assert serious(page) == [], scheme
    page.set_viewport_size({"width": PHONE, "height": 844})

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    controls = page.locator(".controls")
    assert controls.evaluate("box => box.scrollWidth") <= PHONE
    names = ["Time range", "Interval", "Refresh", "From", "To", "Time zone", "As known at"]
    boxes = [controls.get_by_label(name, exact=True).bounding_box() for name in names]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= PHONE for box in boxes), boxes
    assert len({box["y"] for box in boxes}) == 3


def test_axe_finds_nothing_serious_at_the_door(visit, guarded_url):
    for scheme in ("light", "dark"):
        one = visit(guarded_url, scheme=scheme, fresh=True)
        one.page.goto(guarded_url)
        assert serious(one.page) == []


def serious(page):
    found = Axe().run(page).response["violations"]
    return [
        (one["id"], node["target"], node["failureSummary"])
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def test_one_reaches_everything_by_keyboard(visit, open_url, window):
    page = visit(open_url).open(link("/", window))
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.textContent || document.activeElement.id")
        )

    assert "Skip to the content" in reached[0]
    for name in ("Models", "Status", "range", "interval", "zone", "refresh", "CSV", "digits"):
        assert any(re.search(name, one) for one in reached), name
