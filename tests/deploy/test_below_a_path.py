"""Below a path of nginx, with both configurations that docs/operations.md shows."""

import re
from dataclasses import replace
from urllib.parse import urljoin, urlsplit

import pytest
import requests

from app.factory import create_app
from tests.api.given import MINUTE, MODEL, prediction
from tests.api.live import Keeping, serving
from tests.nginx import PASSES_ON, PATH, PATIENCE, STRIPS, in_front

PAGES = ["/", "/model?namespace=shop&pipeline=checkout&model=fraud", "/executions", "/status"]


@pytest.fixture(scope="module", params=["passes the path on", "strips it"])
def base(request, shared_settings, database, tmp_path_factory):
    """Where the service is, as browsers see it."""
    strips = request.param == "strips it"
    said = "" if strips else f"http://127.0.0.1{PATH}"
    app = create_app(replace(shared_settings, public_url=said), database)
    with serving(app, Keeping) as own:
        location = STRIPS if strips else PASSES_ON
        with in_front(tmp_path_factory.mktemp("nginx"), own, location) as host:
            yield host + PATH


@pytest.fixture
def browser(base, workspace):
    """A session that has logged in."""
    with requests.Session() as session:
        form = {"key": workspace.read_key, "next": "/model?model=m"}
        answer = session.post(f"{base}/login", data=form, timeout=PATIENCE)
        assert [hop.status_code for hop in answer.history] == [303]
        assert (answer.status_code, answer.url) == (200, f"{base}/model?model=m")
        yield session


def links(page):
    """Where a page leads on its host; `page` is an answer in HTML or CSS."""
    found = re.findall(r"""(?:href|src|action)=["']([^"'#][^"']*)|url\(["']?([^"')]+)""", page.text)
    addresses = {urljoin(page.url, either or other) for either, other in found}
    host = urlsplit(page.url).netloc
    return sorted(address for address in addresses if urlsplit(address).netloc == host)


def test_the_path_alone_leads_to_the_login(base):
    answer = requests.get(base, timeout=PATIENCE)

    assert answer.status_code == 200
    assert answer.url == f"{base}/login?next=%2F"


def test_a_session_is_this_paths_alone(browser):
    (cookie,) = browser.cookies
    assert (cookie.name, cookie.path) == ("truthline", PATH)


@pytest.mark.parametrize("path", [*PAGES, "/login", "/docs"])
def test_all_that_a_page_names_is_there(base, browser, path):
    page = browser.get(base + path, timeout=PATIENCE)
    assert page.status_code == 200

    found = links(page)
    assert found
    for address in found:
        assert address.startswith(f"{base}/"), address
        if not address.endswith("/logout"):
            answer = browser.get(address, timeout=PATIENCE)
            assert answer.status_code == 200, address
            assert answer.url.startswith(f"{base}/"), answer.url


def test_the_parts_of_a_page_are_asked_for_below_it(base, browser):
    page = browser.get(f"{base}/", timeout=PATIENCE).text.replace(
        r"\u002f", "/"
    )  # as Dash writes it
    (prefix,) = re.findall(r'"requests_pathname_prefix":\s*"([^"]+)"', page)
    assert prefix == f"{PATH}/web/"
    for name in ("_dash-layout", "_dash-dependencies"):
        answer = browser.get(f"{urljoin(base, prefix)}{name}", timeout=PATIENCE)
        assert answer.status_code == 200
        assert answer.json()


def test_the_servers_url_of_the_openapi_document_takes_calls(base, workspace):
    address = f"{base}/docs/start.js"
    (path,) = re.findall(r'"([^"]+/openapi\.json)"', requests.get(address, timeout=PATIENCE).text)
    document = requests.get(urljoin(base, path), timeout=PATIENCE).json()
    (server,) = document["servers"]
    api = urljoin(base, server["url"])
    assert api == base

    headers = {"Authorization": f"Bearer {workspace.admin_key}"}
    rows = {"predictions": [prediction(requestId="1", label="a")]}
    sent = requests.post(f"{api}/api/v1/predictions", json=rows, headers=headers, timeout=PATIENCE)
    assert sent.json()["accepted"] == 1
    asked = requests.get(
        f"{api}/api/v1/models", params=MODEL | MINUTE, headers=headers, timeout=PATIENCE
    )
    assert asked.status_code == 200, asked.text


def test_an_export_is_below_it(base, browser):
    answer = browser.get(f"{base}/export/models.csv?range=1y", timeout=PATIENCE)
    assert answer.headers["Content-Type"].startswith("text/csv")
