"""Headers of every answer: what a browser may make of it, who may keep it, when to ask again."""

from dataclasses import replace

import pytest

from app.factory import create_app
from tests.api.given import keyed_client
from tests.api.test_every_route import OPEN, PAGES, path_of, routes, walk

# What belongs to nobody, and may be kept; each has an age or an ETag.
KEPT = ("/docs/assets/", "/web/assets/", "/web/_dash-component-suites/")


@pytest.fixture
def answers(app, client, workspace):
    """The answer of each route, also to a session, by (method, path)."""
    client.post("/login", data={"key": workspace.admin_key})
    found = walk(app, client, workspace.name)
    for method, rule in routes(app):
        if rule in OPEN | PAGES and rule != "/logout":
            path = rule.replace("<path:name>", "swagger-ui.css").replace("<path:file>", "style.css")
            path = path_of(path.replace("<string:panel>", "models"))
            with client.open(path, method=method) as answer:
                found[method, path] = answer
    return found


def test_no_response_is_sniffed_as_another_type(answers):
    assert len(answers) > 40
    assert {a.headers.get("X-Content-Type-Options") for a in answers.values()} == {"nosniff"}


def test_what_belongs_to_a_workspace_is_kept_by_nobody(answers):
    kept = {path: a.headers.get("Cache-Control") for (_, path), a in answers.items()}
    assert {"application/json", "text/csv", "text/html"} <= {a.mimetype for a in answers.values()}

    for path, said in kept.items():
        assert (said == "no-store") != (path.startswith(KEPT) and said != "no-store"), path


def test_scripts_of_the_pages_may_be_kept(client):
    with client.get("/web/assets/style.css") as answer:
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")
        assert answer.headers["ETag"]


def test_without_a_database_every_route_states_when_to_retry(shared_settings):
    away = replace(shared_settings, database_url="postgresql://127.0.0.1:1/nobody")
    client = keyed_client(create_app(away), "tl_some-key")

    answers = [*walk(client.application, client).values(), client.get("/readyz")]
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.headers.get("Retry-After") for answer in answers} == {"5"}


@pytest.mark.parametrize(
    "path",
    [
        "/web/_dash-component-suites/x/y.js",
        "/web/_dash-component-suites/dash/no.js",
        "/web/assets/no.css",
    ],
)
def test_a_file_that_is_not_there_is_not_found(app, path):
    answer = app.test_client().get(path)

    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
