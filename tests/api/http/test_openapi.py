"""The reference: the document describes every route, and the page needs no other host."""

import re

import pytest
from jsonschema import Draft202012Validator

DOCUMENTED = (
    "/api/",
    "/auth/",
    "/metrics-server/",
    "/model-monitoring/",
    "/inference-stats",
    "/<string:workspace>/",
    "/livez",
    "/readyz",
    "/metrics",
    "/v1/metrics",
    "/protocol",
)
EVENTS = ("post", "/")  # a GET is the page that people look at
REALM = "/auth/realms/{realm}"
OPEN = {
    "/livez",
    "/readyz",
    "/metrics",
    "/protocol",
    "/api/v1/auth/refresh",
    f"{REALM}/protocol/openid-connect/token",
    f"{REALM}/protocol/openid-connect/revoke",
    f"{REALM}/.well-known/openid-configuration",
}


@pytest.fixture
def document(app):
    answer = app.test_client().get("/openapi.json")
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    return answer.json


def operations(document):
    """((method, path), operation) of the document."""
    for path, methods in document["paths"].items():
        for method in methods.keys() - {"parameters"}:  # those of the path
            yield (method, path), methods[method]


def parts(node):
    """All objects within a document."""
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node:
        if isinstance(inner, dict | list):
            yield from parts(inner)


def test_the_document_describes_itself(document):
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["title"] == "Truthline"
    assert document["info"]["version"]


def test_every_route_is_documented_and_nothing_else(app, document):
    routes = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(DOCUMENTED)
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }

    assert {key for key, _ in operations(document)} == routes | {EVENTS}


def test_every_operation_has_a_summary_a_tag_and_answers(document):
    declared = {tag["name"] for tag in document["tags"]}

    for key, operation in operations(document):
        assert operation["summary"], key
        assert not operation["summary"].endswith("."), key
        assert set(operation["tags"]) <= declared, key
        assert "default" in operation["responses"], key
        assert operation["responses"].keys() & {"200", "204"}, key


def test_no_parameter_is_documented_twice(document):
    for key, operation in operations(document):
        names = [(one["in"], one["name"]) for one in operation.get("parameters", ())]
        assert len(set(names)) == len(names), key


def test_every_reference_resolves(document):
    references = {part["$ref"] for part in parts(document) if "$ref" in part}

    assert references
    for reference in references:
        place, *steps = document, *reference.removeprefix("#/").split("/")
        for step in steps:
            place = place[step]


def test_every_component_is_referred_to(document):
    references = {part["$ref"] for part in parts(document) if "$ref" in part}

    for kind in ("schemas", "responses"):
        assert {f"#/components/{kind}/{name}" for name in document["components"][kind]} <= (
            references
        )


def test_every_schema_is_one(document):
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_keys_are_required_where_needed(document):
    assert document["components"]["securitySchemes"].keys() == {"bearer", "apiKey"}
    for (_, path), operation in operations(document):
        expected = [] if path in OPEN else [{"bearer": []}, {"apiKey": []}]
        assert operation["security"] == expected, path


def test_an_interval_is_a_text_as_go_writes_durations(document):
    """ISO 8601, which OpenAPI calls `duration`, writes PT10S instead."""
    found = [
        parameter["schema"]
        for _, operation in operations(document)
        for parameter in operation.get("parameters", ())
        if parameter["name"] == "interval"
    ]

    assert len(found) >= 2
    for schema in found:
        assert schema["type"] == "string"
        assert "format" not in schema


def schema_of(document, name):
    """A schema that carries what it refers to."""
    return {"$ref": f"#/components/schemas/{name}", "components": document["components"]}


@pytest.mark.parametrize(
    "row",
    [
        {"model": "m", "label": "a", "time": "2025-02-25T11:51:22Z"},
        {"model": "m", "scores": {"a": 0.5}},
        {"model": "m", "detections": [{"label": "a", "confidence": 1}]},
    ],
    ids=["label", "scores", "detections"],
)
def test_what_ingest_takes_fits_the_document(client, document, row):
    Draft202012Validator(schema_of(document, "Prediction")).validate(row)

    assert client.post("/api/v1/predictions", json={"predictions": [row]}).status_code == 200


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/v1/predictions", "Problem"),
        ("/metrics-server/api/v1/pipeline/subscriptions", "GrpcGatewayError"),
        ("/api/v1/auth/refresh", "CraftError"),
        (f"{REALM}/protocol/openid-connect/token", "OAuthError"),
    ],
    ids=["native", "Seldon", "Craft", "OpenID Connect"],
)
def test_errors_fit_the_document(client, document, path, name):
    (operation,) = (one for (_, at), one in operations(document) if at == path)
    reference = operation["responses"]["default"]["$ref"]
    (media,) = document["components"]["responses"][reference.split("/")[-1]]["content"]

    answer = client.put(path)
    assert answer.mimetype == media
    Draft202012Validator(schema_of(document, name)).validate(answer.json)


# --- the page -------------------------------------------------------------------------------


@pytest.fixture
def page(app):
    answer = app.test_client().get("/docs")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    return answer.text


def test_the_page_refers_to_no_other_host(page):
    assert not re.search(r"(https?:)?//", page)


def test_all_the_page_needs_is_here(app, page):
    client = app.test_client()
    found = re.findall(r'(?:src|href)="([^"]+)"', page)

    assert len(found) >= 3
    for path in found:
        with client.get(path) as answer:
            assert answer.status_code == 200, path
            assert answer.content_length > 0, path
    assert '"/openapi.json"' in client.get("/docs/start.js").text


@pytest.mark.parametrize("path", ["/docs", "/login"])
def test_the_page_may_load_from_nowhere_else(app, path):
    policy = app.test_client().get(path).headers["Content-Security-Policy"]

    assert policy.startswith(("default-src 'self'", "default-src 'none'"))
    assert "http" not in policy


@pytest.mark.parametrize("name", ["../__init__.py", "%2e%2e/__init__.py", "/etc/passwd", "no.js"])
def test_no_other_file_is_an_asset(app, name):
    assert app.test_client().get(f"/docs/assets/{name}").status_code == 404
