"""Errors of HTTP itself: each path answers in its own form, none redirects, none tells too much."""

import re

import pytest

from app import errors
from app.api.http.problems import STATUS, Problem, problem_json
from tests.api.given import SELDON, predict, prediction

NOT_FOUND = "There is nothing at this path; /docs lists all endpoints."
WRONG_METHOD = "This path does not support this method."
CRASH = "Something went wrong on the server; its log has the cause, under this request's id."
SECRET = "password=hunter2 in table truthline_data.secret"
LIST = f"{SELDON}/pipeline/subscriptions"


def native(answer):
    """(title, status, detail) of a problem+json that is about nothing but HTTP."""
    assert answer.content_type == "application/problem+json"
    assert answer.json["type"] == "about:blank"
    assert answer.json["status"] == answer.status_code
    return answer.json["title"], answer.status_code, answer.json["detail"]


def seldon(answer):
    """(status, gRPC code, message) of an error in Seldon's form."""
    assert answer.content_type == "application/json"
    assert list(answer.json) == ["code", "message", "details"]
    assert answer.json["details"] == []
    return answer.status_code, answer.json["code"], answer.json["message"]


@pytest.mark.parametrize("path", ["/nowhere", "/api/v1", "/api/v2/predictions", "/metrics-serve"])
def test_an_unknown_path_is_a_problem(client, path):
    assert native(client.get(path)) == ("Not Found", 404, NOT_FOUND)


@pytest.mark.parametrize("path", ["/metrics-server/", "/metrics-server/nowhere", f"{SELDON}/a//b"])
def test_an_unknown_path_of_seldon_is_reported_in_its_form(client, path):
    assert seldon(client.get(path)) == (404, 5, NOT_FOUND)


def test_a_wrong_method_is_a_problem_that_names_the_right_ones(client):
    answer = client.get("/api/v1/predictions")

    assert native(answer) == ("Method Not Allowed", 405, WRONG_METHOD)
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


def test_a_wrong_method_of_seldon_is_reported_in_its_form(client):
    answer = client.delete(LIST)

    assert seldon(answer) == (405, 12, WRONG_METHOD)
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def crash(*_, **__):
    raise RuntimeError(SECRET)


def test_a_crash_is_a_problem_without_its_text(client, monkeypatch, caplog):
    monkeypatch.setattr("app.api.native.ingest.read_json", crash)

    answer = predict(client, prediction(label="a"))
    assert native(answer) == ("Internal Server Error", 500, CRASH)
    assert SECRET in caplog.text


def test_a_crash_of_seldon_is_reported_in_its_form(client, monkeypatch, caplog):
    monkeypatch.setattr("app.api.seldon_mpm.routes.subscriptions", crash)

    assert seldon(client.get(LIST)) == (500, 13, CRASH)
    assert SECRET in caplog.text


def test_a_crash_elsewhere_is_a_problem(client, monkeypatch):
    monkeypatch.setattr("app.api.operations.routes.generate_latest", crash)

    assert native(client.get("/metrics")) == ("Internal Server Error", 500, CRASH)


@pytest.mark.parametrize(
    "path",
    [
        "/livez/",
        "/readyz/",
        "/metrics/",
        "/docs",
        "/docs/",
        "/openapi.json/",
        f"{LIST}/",
    ],
)
def test_a_trailing_slash_changes_nothing(client, path):
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/predictions/", "/api/v1/feedback/"])
def test_a_trailing_slash_changes_nothing_for_a_batch(client, path):
    assert client.post(path, json={}).status_code == 400


def test_no_spelling_of_a_path_redirects(app, client):
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("web."):
            continue  # pages lead to the one where a key is asked for
        path = rule.rule.replace("<path:name>", "swagger-ui.css")
        # the test client takes what follows two leading slashes for a host, so the path is /.
        for spelled in (path, path + "/", path + "//", path.replace("/", "//", 2)[1:]):
            for method in rule.methods:
                with client.open(spelled, method=method) as answer:
                    assert not 300 <= answer.status_code < 400, (method, spelled)


FAILURES = {
    member
    for member in vars(errors).values()
    if isinstance(member, type) and issubclass(member, errors.TruthlineError)
} - {errors.TruthlineError}


def test_every_named_failure_has_a_status_and_a_title():
    assert STATUS.keys() == FAILURES
    assert all(failure.__doc__.strip() for failure in FAILURES)


def test_the_type_of_every_problem_leads_to_what_it_means(app):
    answer = app.test_client().get("/problems")  # reading about an error needs no key

    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    rows = re.findall(r'<dt id="(\w+)">(\w+) \((\d+)\)</dt><dd>([^<]+)</dd>', answer.text)
    assert len(rows) == len(FAILURES)
    for failure in FAILURES:
        said = problem_json(Problem(STATUS[failure], failure.__name__, "some title")).json
        page, _, anchor = said["type"].partition("#")
        assert page == "/problems"
        assert (anchor, anchor, str(said["status"]), failure.__doc__.strip()) in rows


def test_the_type_of_a_refused_batch_leads_to_its_place_on_the_page(app, client):
    page, _, anchor = predict(client, prediction(label="")).json["type"].partition("#")

    assert f'id="{anchor}"' in client.get(page).text
    assert anchor == "InvalidRows"
