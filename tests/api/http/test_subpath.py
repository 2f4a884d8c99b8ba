"""Below a path of the host: by the public URL, or by the header of a trusted proxy."""

import re
from dataclasses import replace

import pytest

from app.config import OWN_PATHS, Settings
from app.factory import create_app

ROOT = "/truthline"
HEADER = {"X-Forwarded-Prefix": ROOT}


@pytest.fixture(scope="module")
def below(shared_settings, database):
    settings = replace(shared_settings, public_url=f"https://x.example{ROOT}")
    return create_app(settings, database).test_client(use_cookies=False)


def links(page):
    return re.findall(r"""(?:href|src|action)=["'](/[^"']*)""", page)


@pytest.mark.parametrize("prefix", ["", ROOT], ids=["stripped", "passed on"])
def test_all_links_are_below_it(below, prefix):
    for path in ("/login", "/docs/"):
        found = links(below.get(prefix + path).text)
        assert found
        assert all(link.startswith(f"{ROOT}/") for link in found), found
    document = below.get(f"{prefix}/openapi.json").json
    assert document["servers"] == [{"url": ROOT}]
    assert f'"{ROOT}/openapi.json"' in below.get(f"{prefix}/docs/start.js").text


@pytest.mark.parametrize("prefix", ["", ROOT], ids=["stripped", "passed on"])
def test_a_session_belongs_to_it(below, prefix, workspace):
    sent = below.get(f"{prefix}/model?model=m")
    assert sent.headers["Location"] == f"{ROOT}/login?next=%2Fmodel%3Fmodel%3Dm"

    form = {"key": workspace.read_key, "next": "/model?model=m"}
    into = below.post(f"{prefix}/login", data=form)
    assert into.headers["Location"] == f"{ROOT}/model?model=m"
    cookie = into.headers["Set-Cookie"]
    assert cookie.startswith("__Secure-truthline=")
    assert f"Path={ROOT};" in cookie + ";"

    name, _, value = cookie.partition(";")[0].partition("=")
    page = below.get(f"{prefix}/", headers={"Cookie": f"{name}={value}"})
    assert page.status_code == 200
    assert all(link.startswith(f"{ROOT}/") for link in links(page.text)), links(page.text)
    config = page.text.replace(r"\u002f", "/")  # as Dash writes it
    assert re.search(rf"requests_pathname_prefix\W+{ROOT}/web/", config)


def test_probes_are_at_the_root_too(below):
    assert below.get("/livez").status_code == below.get(f"{ROOT}/livez").status_code == 200


def test_the_header_counts_only_from_a_trusted_proxy(app):
    client = app.test_client()
    for address, root in (("127.0.0.1", ROOT), ("192.0.2.1", "")):
        page = client.get("/login", headers=HEADER, environ_overrides={"REMOTE_ADDR": address})
        assert all(link.startswith(f"{root}/") for link in links(page.text))
        assert f'action="{root}/login"' in page.text


@pytest.mark.parametrize("prefix", ["//evil.example", "/a b", '/"onload', "evil", "/../x?y"])
def test_an_odd_header_is_ignored(app, prefix):
    page = app.test_client().get("/login", headers={"X-Forwarded-Prefix": prefix})
    assert 'action="/login"' in page.text


def test_the_issuer_has_it_once(below):
    url = below.get("/auth/realms/x/.well-known/openid-configuration").json["token_endpoint"]
    assert url.startswith(f"https://x.example{ROOT}/auth/realms/x/")


def test_paths_of_all_routes_are_known(app):
    paths = [rule.rule for rule in app.url_map.iter_rules()]
    fixed = [path for path in paths if path != "/" and not path.startswith("/<")]
    for path in fixed:
        assert any(path == own or path.startswith(f"{own}/") for own in OWN_PATHS), path
    for own in OWN_PATHS:
        assert any(path == own or path.startswith(f"{own}/") for path in fixed), own


ROUTES = ["/api", "/api/v1/", "/auth", "/auth/realms/x", "/model", "/docs/"]


@pytest.mark.parametrize("path", ROUTES)
def test_a_path_that_is_also_a_route_is_refused(path):
    with pytest.raises(ValueError, match=f"can't be {path.rstrip('/')}, because .* choose another"):
        Settings(public_url=f"https://x.example{path}")


@pytest.mark.parametrize("path", ["/caf%C3%A9", "/a//b", "//a", "/a<b"])
def test_a_path_that_links_cannot_contain_is_refused(path):
    with pytest.raises(ValueError, match="may have letters"):
        Settings(public_url=f"https://x.example{path}")


@pytest.mark.parametrize("path", ["", "/", "/models", "/api/truthline", "/apis", "/a.b/c_d~-/"])
def test_other_paths_are_accepted(path):
    assert Settings(public_url=f"https://x.example{path}").public_url.endswith(path)
