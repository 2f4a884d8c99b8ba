"""Posts for a part of the page, from any sender: an error or a result, never a crash."""

import json

import pytest

from app.web.shell import CONTROLS

PATH = "/web/_dash-update-component"


@pytest.fixture
def page(app, workspace):
    """A client with a session."""
    client = app.test_client()
    client.post("/login", data={"key": workspace.admin_key})
    return client


def given(id_, property_, value=None):
    return {"id": id_, "property": property_, "value": value}


def update(client, output, inputs, state=(), changed="url.search"):
    name = output.split("@")[0]
    outputs = {"id": name.rpartition(".")[0], "property": name.rpartition(".")[2]}
    if name.startswith(".."):
        parts = [part.rpartition(".") for part in name.strip(".").split("...")]
        outputs = [{"id": id_, "property": property_} for id_, _, property_ in parts]
    body = {"output": output, "outputs": outputs, "inputs": inputs, "state": list(state)}
    return client.post(PATH, json=body | {"changedPropIds": [changed]})


def output_of(app, start):
    """The output of the callback that begins so, of a service without a sub-path."""
    (output,) = (name for name in app.extensions["web"][""].callback_map if name.startswith(start))
    return output


def refused(answer):
    return answer.status_code == 400 and "not what the page sends" in answer.json["detail"]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"\xff", b"[]", b"{}", b"null", b'{"output": 1}', b"[" * 100_000),
        b'{"output": "x.y", "outputs": {}, "inputs": []}',
        b'{"output": "content.children", "outputs": {}, "inputs": []}',
        b'{"output": "content.children", "outputs": {}, "inputs": [[]]}',
        b'{"output": "content.children", "outputs": {}, "inputs": ["x"]}',
    ],
)
def test_what_is_no_update_is_refused(page, body):
    assert refused(page.post(PATH, data=body, content_type="application/json"))


@pytest.mark.parametrize("value", [{}, [], 1, True, 1.5])
def test_a_path_that_is_no_text_is_refused(page, value):
    assert refused(update(page, "content.children", [given("url", "pathname", value)]))


def choice(app, page, id_, value):
    """A choice within a panel."""
    page.get("/")
    output = output_of(app, "url.search@")
    return update(
        page,
        output,
        [[given(id_, "value", value)]],
        [given("url", "search", ""), [given(id_, "data-shown")]],
        changed=json.dumps(id_, separators=(",", ":")) + ".value",
    )


@pytest.mark.parametrize("value", [{}, [], 5, 1.5, True, [[]]])
def test_a_choice_that_is_no_text_is_refused(app, page, value):
    assert refused(choice(app, page, {"choice": "compare"}, value))


@pytest.mark.parametrize("id_", [{"choice": "compare"}, {"panel": "bucket"}, "refused"])
@pytest.mark.parametrize("value", [None, "", "x", "version:", "window"])
def test_no_choice_is_a_crash(app, page, id_, value):
    assert choice(app, page, id_, value).status_code in (200, 204)


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize(
    "value", ["nonsense", "0001-01-01 00:00:00", "9999-12-31 23:59:59", "", None]
)
@pytest.mark.parametrize(
    "search",
    [
        "?startTime=9999-12-31T23:00:00Z&endTime=9999-12-31T23:59:59Z&timeZone=Pacific/Kiritimati",
        "?startTime=0001-01-01T00:00:00Z&endTime=0001-01-01T00:00:01Z&timeZone=America/New_York",
        "?startTime=0001-01-01T00:00:00Z&endTime=9999-12-31T23:59:59Z",
    ],
    ids=["late", "early", "long"],
)
def test_no_control_at_an_extreme_is_a_crash(app, page, control, value, search):
    page.get("/")
    output = output_of(app, "..url")
    values = [given(name, "value", value) for name in CONTROLS]
    clock = [given("url", "search", search), given("tick", "n_intervals", 0)]

    answer = update(page, output, [*clock, *values], changed=f"{control}.value")
    assert answer.status_code in (200, 204)
