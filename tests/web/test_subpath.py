"""The pages below a path of their host, in a browser."""

import re
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from app.factory import create_app
from tests.api.live import Keeping, serving

ROOT = "/truthline"


@pytest.fixture(scope="module")
def url_below(demo):
    settings = replace(demo.settings, auth=False, public_url=f"http://127.0.0.1{ROOT}")
    with serving(create_app(settings, demo.database), Keeping) as url:
        yield url + ROOT


def test_pages_and_links_stay_below_it(visit, url_below):
    below = visit(url_below)
    page = below.open("/")
    page.get_by_role("link", name="Executions").click()
    expect(page).to_have_url(re.compile(rf"{re.escape(url_below)}/executions"))
    below.settled()
    page.get_by_role("link", name="Truthline").click()
    below.settled()
    page.locator("main a[href*='/model?']").first.click()
    expect(page).to_have_url(re.compile(rf"{re.escape(url_below)}/model\?"))
    below.settled()
    expect(page.get_by_text("There is no such page.")).to_have_count(0)
