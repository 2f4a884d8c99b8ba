"""Access to the pages: the key, the cookie, other sites, and neighbours."""

import re
from datetime import timedelta
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text

from app.auth import sessions
from app.auth.keys import Role, create_key
from app.auth.workspaces import find_or_create_workspace
from app.config import Settings
from app.factory import create_app
from tests.api.given import given_pairs, keyed_client

PAGES = (
    "/",
    "/model",
    "/drift",
    "/requests",
    "/request",
    "/executions",
    "/monitors",
    "/monitor",
    "/new-monitor",
    "/status",
)
ASKED = "/export/models.csv?range=1y"


@pytest.fixture
def stranger(app):
    """A browser that has not logged in."""
    return app.test_client()


def log_in(client, key, target="/", **request):
    return client.post("/login", data={"key": key, "next": target}, **request)


def cookie_of(answer):
    (header,) = answer.headers.getlist("Set-Cookie")
    (cookie,) = SimpleCookie(header).values()
    return cookie, header


def update(client, **headers):
    """Ask for the overview's table as the page does."""
    place = {"id": {"panel": "models"}, "property": "children"}
    wanted = {"id": place["id"], "property": "data-wanted", "value": "?range=1y"}
    body = {
        "output": '{"panel":["MATCH"]}.children',
        "outputs": place,
        "inputs": [wanted],
        "state": [
            {"id": "url", "property": "pathname", "value": "/"},
            {"id": {"panel": "models"}, "property": "id", "value": {"panel": "models"}},
        ],
        "changedPropIds": ['{"panel":"models"}.data-wanted'],
    }
    return client.post("/web/_dash-update-component", json=body, headers=headers)


# --- the login page -------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_led_to_the_door_and_back(stranger, workspace, path):
    wanted = f"{path}?range=7d&timeZone=Europe/Paris"
    answer = stranger.get(wanted)
    assert answer.status_code == 303
    place = urlsplit(answer.location)
    assert (place.path, parse_qs(place.query)["next"]) == ("/login", [wanted])

    door = stranger.get(answer.location)
    assert door.status_code == 200
    target = re.search(r'name="next" value="([^"]*)"', door.text)[1].replace("&amp;", "&")
    assert log_in(stranger, workspace.read_key, target).location == wanted
    assert stranger.get(wanted).status_code == 200


@pytest.mark.parametrize(
    "path", ["/web/_dash-layout", "/web/_dash-dependencies", ASKED, "/export/quality.csv"]
)
def test_without_a_session_nothing_is_shown(stranger, workspace, path):
    assert stranger.get(path).status_code == 401
    # a key opens the API; pages want a session, so that no link carries a key
    assert keyed_client(stranger.application, workspace.read_key).get(path).status_code == 401
    assert update(stranger).status_code == 401


@pytest.mark.parametrize(
    ("role", "said"), [(Role.INGEST, "needs a key with the role read"), (None, "does not exist")]
)
def test_a_key_that_may_not_read_is_rejected(stranger, workspace, role, said):
    answer = log_in(stranger, workspace.ingest_key if role else "tl_invented")

    assert answer.status_code == 401
    assert said in answer.text
    assert "Set-Cookie" not in answer.headers
    assert stranger.get("/").status_code == 303


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "",
        "x",
        "/\n/x",
    ],
)
def test_nobody_is_led_elsewhere(stranger, workspace, target):
    assert log_in(stranger, workspace.read_key, target).location == "/"


def test_text_of_a_link_is_escaped(stranger):
    door = stranger.get("/login", query_string={"next": '/"><script>alert(1)</script>'})

    assert "<script>" not in door.text


# --- the cookie -----------------------------------------------------------------------------


def test_the_cookie_is_out_of_reach(stranger, workspace):
    cookie, header = cookie_of(log_in(stranger, workspace.read_key))

    assert cookie.key == "truthline"
    assert cookie["httponly"] is True
    assert (cookie["samesite"], cookie["path"]) == ("Lax", "/")
    assert cookie["max-age"] == str(sessions.SECONDS)
    assert not cookie["secure"]
    assert workspace.read_key not in header
    assert workspace.name not in header


@pytest.mark.parametrize("by", ["scheme", "public url"])
def test_over_https_it_goes_by_https_alone(shared_settings, database, workspace, by):
    url = "https://truthline.example"
    settings = {"database_url": shared_settings.database_url}
    if by == "public url":
        settings["public_url"] = url
    client = create_app(Settings(**settings), database).test_client()
    base = url if by == "scheme" else "http://127.0.0.1"
    cookie, _ = cookie_of(log_in(client, workspace.read_key, base_url=base))

    assert cookie.key == "__Host-truthline"
    assert cookie["secure"] is True
    assert (cookie["path"], cookie["domain"]) == ("/", "")


@pytest.mark.parametrize(
    "forge",
    [
        lambda token, _: token[:-2],
        lambda token, _: token.rpartition(".")[0] + ".",
        lambda _, key: key,
        lambda _, __: "x" * 3000,
    ],
    ids=["tampered", "unsigned", "the key itself", "long"],
)
def test_another_cookie_is_no_session(stranger, workspace, forge):
    cookie, _ = cookie_of(log_in(stranger, workspace.read_key))
    stranger.set_cookie("truthline", forge(cookie.value, workspace.read_key))

    assert stranger.get("/").status_code == 303
    assert update(stranger).status_code == 401


def test_a_token_of_the_api_is_no_session(app, stranger, workspace):
    """It was given to a program, and ends by itself within the hour."""
    given = stranger.post("/api/v1/auth/refresh", json={"refresh_token": workspace.read_key})
    stranger.set_cookie("truthline", given.json["access_token"])

    assert stranger.get("/").status_code == 303


def test_it_is_renewed_while_it_is_used(stranger, workspace, monkeypatch):
    log_in(stranger, workspace.read_key)
    assert "Set-Cookie" not in stranger.get("/").headers
    monkeypatch.setattr(sessions, "RENEWED_AFTER_SECONDS", -1)

    for answer in (stranger.get("/"), update(stranger), stranger.get(ASKED)):
        assert answer.status_code == 200
        assert cookie_of(answer)[0].key == "truthline"


# --- the end --------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["revoked_at = now()", "expires_at = now()"])
def test_a_session_ends_with_its_key(stranger, database, workspace, end):
    with database.writing() as conn:
        key = create_key(conn, workspace.id, Role.READ, lifetime=timedelta(days=1), name="mine")
    log_in(stranger, key)
    assert stranger.get("/").status_code == 200
    with database.writing() as conn:
        ended = f"UPDATE api_key SET {end} WHERE name = 'mine' AND workspace_id = :id"
        conn.execute(text(ended), {"id": workspace.id})

    assert stranger.get("/").status_code == 303
    assert update(stranger).status_code == 401
    assert stranger.get(ASKED).status_code == 401


def test_logging_out_ends_it_wherever_it_was_copied_to(app, stranger, workspace):
    cookie, _ = cookie_of(log_in(stranger, workspace.read_key))
    thief = app.test_client()
    thief.set_cookie("truthline", cookie.value)
    assert thief.get("/").status_code == 200

    answer = stranger.post("/logout")
    assert (answer.status_code, answer.location) == (303, "/login")
    assert stranger.get("/").status_code == 303
    assert thief.get("/").status_code == 303


# --- other sites ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
    ids=str,
)
def test_other_sites_may_not_act_for_a_browser(stranger, workspace, headers):
    assert log_in(stranger, workspace.read_key, headers=headers).status_code == 403
    log_in(stranger, workspace.read_key)

    assert update(stranger, **headers).status_code == 403
    assert stranger.post("/logout", headers=headers).status_code == 403
    assert stranger.get("/").status_code == 200


def test_a_page_loads_no_script_but_ours(stranger, workspace):
    log_in(stranger, workspace.read_key)
    answer = stranger.get("/")
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";")
    )

    assert policy["default-src"] == "'none'"
    assert re.fullmatch(r"'self'( 'sha256-[\w+/=]+')+", policy["script-src"])
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert answer.headers["Cache-Control"] == "no-store"


# --- neighbours -----------------------------------------------------------------------------


def test_a_neighbour_sees_nothing_of_it(app, client, database, workspace):
    given_pairs(client, [("a", "a")])
    with database.writing() as conn:
        next_door = find_or_create_workspace(conn, f"{workspace.name}-neighbour")
        neighbour_key = create_key(conn, next_door, Role.ADMIN)
    owner, neighbour = app.test_client(), app.test_client()
    log_in(owner, workspace.read_key)
    log_in(neighbour, neighbour_key)

    assert len(owner.get(ASKED).text.splitlines()) == 2
    assert len(neighbour.get(ASKED).text.splitlines()) == 1
    assert "inferences" in update(owner).text
    assert "No model has sent anything yet" in update(neighbour).text
    model = "/export/quality.csv?range=1y&namespace=shop&pipeline=checkout&model=fraud"
    assert owner.get(model).status_code == 200
    assert neighbour.get(model).status_code == 404
    assert (
        neighbour.get(model).json["detail"]
        == "no predictions or subscription of model shop/checkout/fraud"
    )


# --- without authentication -----------------------------------------------------------------


def test_without_authentication_there_is_no_door(shared_settings, database):
    client = create_app(
        Settings(database_url=shared_settings.database_url, auth=False), database
    ).test_client()

    assert client.get("/").status_code == 200
    assert client.get("/login").location == "/"
    assert "Log out" not in client.get("/web/_dash-layout").text
    assert update(client).status_code == 200
    assert update(client, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
