"""What all pages share: their moment and times, titles, errors, and files that browsers keep."""

import gzip
import importlib.resources
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from app.errors import InvalidInput
from app.web import files
from app.web.pages import PAGES
from app.web.question import RANGES, Question
from app.web.shell import changed, title
from tests.api.test_statements import update

NOW = datetime(2026, 3, 4, 10, 41, 7, tzinfo=UTC)
AS_OF = datetime(2026, 3, 2, 6, 0, 1, tzinfo=UTC)
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}

GRAPH = "/web/_dash-component-suites/dash/dcc/async-graph.js"


def read(**members):
    return Question.read("?" + urlencode(members), NOW)


# --- the moment and the times ---------------------------------------------------------------


@pytest.mark.parametrize("name", RANGES)
def test_a_range_ends_at_the_moment_that_is_asked_for(name):
    question = read(range=name, asOf="2026-03-02T06:00:01Z")

    assert (question.window.end, question.window.length) == (AS_OF, RANGES[name][0])
    assert question.range == name


def test_a_window_with_edges_of_its_own_stays():
    edges = {"startTime": "2026-03-01T00:00:00Z", "endTime": "2026-03-03T00:00:00Z"}
    assert read(**edges, asOf="2026-03-02T06:00:01Z").window == read(**edges).window


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02 15:00:01",
        "2026-03-02T15:00:01",
        " 2026-03-02T06:00:01Z ",
        "2026-03-02T06:00:01.000+00:00",
        "2026-03-02 07:00:01+01:00",
        "20260302T060001Z",
        "1772431201",
        "1772431201000",
    ],
)
def test_a_time_can_be_typed_and_pasted(text):
    """Without an offset it is in the zone of the page."""
    members = changed(read(timeZone="Asia/Tokyo"), "as-of", text)

    assert members["asOf"] == "2026-03-02T06:00:01Z"


def test_a_time_alone_is_of_today():
    said = changed(read(timeZone="Asia/Tokyo"), "as-of", "0:05")["asOf"]
    instant = datetime.fromisoformat(said) + timedelta(hours=9)

    assert (instant.hour, instant.minute) == (0, 5)
    assert abs(instant - datetime.now(UTC) - timedelta(hours=9)) < timedelta(days=2)


@pytest.mark.parametrize("text", ["", "  ", "now", "Now"])
def test_now_is_no_moment(text):
    assert changed(read(asOf="2026-03-02T06:00:01Z"), "as-of", text)["asOf"] is None


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2026-13-01", "25:00", "9" * 30, "0001-01-01T00:00:00+14:00", "12345678x"],
)
def test_what_is_no_time_is_refused_with_an_example(text):
    with pytest.raises(InvalidInput, match="is not a time; type one like 2026-03-01 10:00"):
        changed(read(), "start", text)


@pytest.mark.parametrize(
    ("control", "text", "edges"),
    [
        ("start", "2026-03-05 00:00", ("2026-03-05T00:00:00Z", "2026-03-07T00:00:00Z")),
        ("end", "2026-02-20 00:00", ("2026-02-18T00:00:00Z", "2026-02-20T00:00:00Z")),
        ("end", "2026-03-02 00:00", ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")),
    ],
)
def test_an_edge_moved_past_the_other_takes_it_along(control, text, edges):
    given = read(startTime="2026-03-01T00:00:00Z", endTime="2026-03-03T00:00:00Z")
    members = changed(given, control, text)

    assert (members["startTime"], members["endTime"]) == edges


# --- titles and errors ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "members", "expected"),
    [
        ("/", {"q": "x"}, "Models · Truthline"),
        ("/model", {"model": "fraud"}, "fraud · Models · Truthline"),
        ("/executions", {"execution": "run-1"}, "run-1 · Executions · Truthline"),
        ("/status", {"model": "fraud"}, "Status · Truthline"),
    ],
)
def test_a_tab_is_named_for_what_it_shows(path, members, expected):
    assert title(path, members) == expected


@pytest.fixture
def page(app, workspace):
    """A client with a session."""
    client = app.test_client()
    assert client.post("/login", data={"key": workspace.read_key}).status_code == 303
    return client


def test_the_first_answer_has_the_title_already(page):
    answer = page.get("/model", query_string={"model": "<b>"})

    assert "<title>&lt;b&gt; · Models · Truthline</title>" in answer.text


def test_an_unknown_model_is_reported_once(page):
    search = "?" + urlencode({"model": "nobody's"})
    panels = PAGES["/model"].panels
    answers = [
        page.post("/web/_dash-update-component", json=update("/model", panel.name, search)).text
        for panel in panels
    ]

    assert [answer.count("No predictions or subscription") for answer in answers] == [
        1,
        *[0] * (len(panels) - 1),
    ]


@pytest.mark.parametrize("path", ["/nosuch", "/model/x", "/web/assets/no.css", "/problems/x"])
def test_a_path_that_is_not_there_is_a_page_for_a_browser(page, path):
    answer = page.get(path, headers=BROWSER)

    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "There is no such page" in answer.text
    assert 'href="/"' in answer.text
    assert answer.headers["Vary"] == "Accept"


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/problem+json", None])
def test_and_a_problem_for_a_program(page, accept):
    answer = page.get("/nosuch", headers={"Accept": accept} if accept else {})

    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_other_errors_are_pages_too(app):
    answer = app.test_client().get("/export/models.csv", headers=BROWSER)

    assert (answer.status_code, answer.mimetype) == (401, "text/html")
    assert "Log in at /login." in answer.text


def test_a_dialect_keeps_its_form_whatever_is_accepted(client):
    answer = client.get("/seldon-deploy/nothing", headers=BROWSER)
    plain = client.get("/seldon-deploy/nothing")

    assert (answer.status_code, answer.text) == (plain.status_code, plain.text) or (
        answer.mimetype == "text/html" and plain.mimetype == "application/problem+json"
    )


# --- files ----------------------------------------------------------------------------------


def addresses(page):
    return re.findall(r'(?:src|href)="(/web/[^"]+)"', page.get("/").text)


def test_a_file_is_compressed_and_kept_for_good(page):
    """Bytes as they go over the wire, of all files that the first page names."""
    sizes = {"gzip": 0, "identity": 0}
    for address in addresses(page):
        for coding in sizes:
            answer = page.get(address, headers={"Accept-Encoding": coding})
            assert answer.status_code == 200
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["Vary"] == "Accept-Encoding"
            assert answer.headers.get("Content-Encoding", "identity") == coding
            sizes[coding] += len(answer.data)
            if coding == "gzip":
                packed = answer.data
        assert gzip.decompress(packed) == answer.data

    assert sizes["gzip"] < 650_000
    assert sizes["identity"] > 2_000_000


def test_other_styles_refine_the_one_for_all(page):
    """Of equal rules the last one counts: a model's page has colours of its own."""
    sheets = [re.sub(r".*/|\?.*", "", one) for one in addresses(page) if ".css?" in one]
    assert sheets == ["style.css", "model.css", "monitors.css", "requests.css"]


def test_plotly_is_kept_for_good_too(page):
    """The largest: a page with charts takes it once, and nothing after."""
    (address,) = re.findall(r'data-plotly="([^"]+)"', page.get("/").text)
    answer = page.get(address, headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert len(answer.data) < 400_000
    assert len(gzip.decompress(answer.data)) > 1_000_000


def test_the_part_of_plotly_is_of_the_version_that_draws_the_figures():
    """An upgrade of plotly needs the file of its version: CONTRIBUTING.md, Dependencies."""
    whole = importlib.resources.files("plotly").joinpath("package_data/plotly.min.js")
    version = r"^\* plotly.js .*?(v[\d.]+)$"
    part, all_ = (
        re.search(version, text[:200], re.MULTILINE)[1]
        for text in ((files.ASSETS / files.PLOTLY).read_text(), whole.read_text())
    )

    assert part == all_


def test_a_page_with_charts_names_what_draws_them_before_anything_else(page):
    """So that the browser does not learn of them only when the first chart has come."""
    links = page.get("/model").headers["Link"]

    (plotly, graph) = re.findall(r"<([^>]+)>; rel=preload; as=script", links)
    assert [plotly] == re.findall(r'data-plotly="([^"]+)"', page.get("/model").text)
    assert graph == GRAPH
    assert page.get(graph).status_code == 200
    assert "Link" not in page.get("/").headers


def test_a_script_without_a_fingerprint_is_asked_for_again(page):
    answer = page.get(GRAPH, headers={"Accept-Encoding": "gzip"})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")

    etag = answer.headers["ETag"]
    again = page.get(GRAPH, headers={"Accept-Encoding": "gzip", "If-None-Match": etag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)


@pytest.mark.parametrize(
    "address",
    [
        "/web/assets/style.css",
        "/web/assets/style.css?v=0123456789abcdef",
        "/web/_dash-component-suites/dash/deps/react@18.v1_0_0m1.3.1.min.js",
        f"/web/assets/{files.PLOTLY}?v=0123456789abcdef",
    ],
)
def test_an_address_of_another_file_is_asked_for_again(page, address):
    """As during an upgrade, while servers of both releases answer."""
    answer = page.get(address, headers={"Accept-Encoding": "gzip"})

    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")


def test_what_a_page_asks_for_is_not_compressed(page):
    """The size of an answer that has secrets in it would reveal them."""
    body = update("/", "models", "?range=1y")
    for answer in (
        page.get("/", headers={"Accept-Encoding": "gzip"}),
        page.post("/web/_dash-update-component", json=body, headers={"Accept-Encoding": "gzip"}),
    ):
        assert "Content-Encoding" not in answer.headers


def test_an_asset_outside_the_folder_is_not_served(page):
    for name in ("../page.py", "..%2Fpage.py", "/etc/passwd"):
        assert page.get(f"/web/assets/{name}").status_code == 404
    assert files.names(".js", "before.js")


# --- in a browser ---------------------------------------------------------------------------


def test_a_pasted_time_moves_the_page_and_a_failed_refresh_is_reported(visit, open_url, demo):
    visit = visit(open_url)
    page = visit.open("/")
    moment = demo.window.start.replace(microsecond=0)
    field = page.get_by_label("As known at", exact=True)
    field.fill(f"{moment:%FT%TZ}")
    field.press("Enter")
    page.wait_for_url("**asOf=*")
    visit.settled()
    expect(page.get_by_label("To", exact=True)).to_have_value(f"{moment:%F %T}")
    expect(page).to_have_title("Models · Truthline")

    page.route("**/_dash-update-component*", lambda route: route.fulfill(status=503))
    page.get_by_role("link", name="Status").click()
    expect(page.locator("#stale")).to_contain_text("the server answered with 503")
    expect(page).to_have_title("Models · Truthline")
    page.unroute("**/_dash-update-component*")
    page.get_by_role("link", name="Models", exact=True).click()
    expect(page.locator("#stale")).to_be_hidden()
    visit.settled()
    expected = ("503", "Callback error updating")
    visit.complaints[:] = [
        said for said in visit.complaints if not any(part in said for part in expected)
    ]
