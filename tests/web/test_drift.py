"""Two windows side by side: what changed, and what has drifted, as the API says."""

import csv
import io
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect

from tests.web.test_pages import DIABETES, DIGITS, asked, link, panel, serious, window

__all__ = ["window"]


@pytest.fixture
def halves(demo):
    """The demo's window in halves, as members of a URL."""
    start, end = demo.window.start, demo.window.end
    middle = start + (end - start) / 2
    after, before = (f"{a:%FT%TZ}/{b:%FT%TZ}" for a, b in ((middle, end), (start, middle)))
    return {"after": after, "before": before}


def sides_of(halves):
    """The same as parameters of the API: side A is what was before."""
    (a_start, a_end), (b_start, b_end) = (halves[side].split("/") for side in ("before", "after"))
    names = ("a.startTime", "a.endTime", "b.startTime", "b.endTime")
    return dict(zip(names, (a_start, a_end, b_start, b_end), strict=True))


def test_a_models_page_leads_to_both_windows(visit, open_url, window, halves):
    one = visit(open_url)
    page = one.open(link("/model", DIGITS, window, halves))
    page.get_by_role("link", name="drift, and what changed").click()
    one.settled()

    expect(page.get_by_role("heading", level=1)).to_have_text("digits")
    assert page.locator("main h2").all_inner_texts() == ["What changed?", "Drift"]
    expect(page.locator(".refusal")).to_have_count(0)
    answer = asked(open_url, "/api/v1/metrics/changes", **DIGITS, **sides_of(halves))
    first = answer["divisions"][0]["parts"][0]["value"]
    expect(panel(page, "changes").locator("tbody th").first).to_have_text(first or "none")
    (labels,) = asked(
        open_url, "/api/v1/metrics/drift", of="predictedLabel", **DIGITS, **sides_of(halves)
    )["buckets"]
    row = panel(page, "drift").locator("tbody tr").first
    assert f"{labels['nA']:,}" in row.inner_text()
    assert serious(page) == []


def test_a_regressors_values_have_drifted_or_not(visit, open_url, window, halves):
    page = visit(open_url).open(link("/drift", DIABETES, window, halves))
    names = panel(page, "drift").locator("table").first.locator("tbody th").all_inner_texts()
    assert names[0] == "Predicted value"


def test_nothing_is_compared_with_nothing(visit, open_url, window):
    page = visit(open_url).open(link("/drift", DIGITS, window, {"before": "none"}))
    expect(panel(page, "drift")).to_contain_text("Nothing is compared")


def test_csv_has_every_part(open_url, window, halves):
    url = open_url + link("/export/drift.csv", DIGITS, window, halves)
    with urlopen(url) as answer:
        rows = list(csv.DictReader(io.StringIO(answer.read().decode())))
    (labels,) = asked(
        open_url, "/api/v1/metrics/drift", of="predictedLabel", **DIGITS, **sides_of(halves)
    )["buckets"]
    found = {
        row["label"]: (int(row["a"]), int(row["b"]))
        for row in rows
        if row["of"] == "predictedLabel" and row["label"]
    }
    assert found == {part["label"]: (part["a"], part["b"]) for part in labels["parts"]}
