"""Invalid events: 400 with a text that states what was expected, and nothing is stored."""

import json

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import text

from tests.api.events_given import (
    FEEDBACK,
    REQUEST,
    RESPONSE,
    SEED,
    attributes,
    configured,
    feedback,
    headers,
    message,
    send,
)
from tests.api.given import NOTHING, keyed_client
from tests.effort import examples

EVENT_TABLES = ("event_key", "event_metric", "event_pair")
_EVENT_COUNTS = text(
    " UNION ALL ".join(
        f"SELECT '{table}', count(*) FROM {table} WHERE workspace_id = :id"
        for table in EVENT_TABLES
    )
)


@pytest.fixture
def traces(database, workspace, stored):
    """Rows of the workspace in all tables that an event may leave rows in."""

    def count():
        with database.reading() as conn:
            events = conn.execute(_EVENT_COUNTS, {"id": workspace.id}).all()
        return stored() | dict(events)

    return count


UNTOUCHED = NOTHING | dict.fromkeys(EVENT_TABLES, 0)


def refused(answer, traces):
    """Why it was."""
    assert answer.status_code == 400, answer.text
    assert answer.mimetype == "application/problem+json"
    assert traces() == UNTOUCHED
    return answer.json["detail"]


ROW = message([[0, 1]])
BAD_FEEDBACK = [
    ({"response": ROW}, "truth is required"),
    ({"truth": None, "response": ROW}, "truth must be an object, not null"),
    ({"truth": {}, "response": ROW}, "truth must have data, predictions or outputs"),
    ({"truth": ROW, "response": {}}, "response must have data, predictions or outputs"),
    ({"truth": ROW, "response": ROW, "request": {}}, "request must have data, predictions or out"),
    ({"truth": {"strData": "a"}, "response": ROW}, "outputs: strData can't be compared"),
    ({"truth": ROW, "response": {"binData": "YQ=="}}, "outputs: binData can't be compared"),
    ({"truth": {"data": {}}, "response": ROW}, "truth.data must have ndarray, tensor or tftensor"),
    ({"truth": {"data": {"ndarray": 5}}, "response": ROW}, "must be a list, not a whole number"),
    ({"truth": message([]), "response": ROW}, "truth must be a list of values or of rows, and not"),
    ({"truth": message([[]]), "response": ROW}, "truth must be a list of values or of rows"),
    ({"truth": message([[0, 1], [1]]), "response": ROW}, "rows of truth must have the same length"),
    ({"truth": message([[0, 1], 1]), "response": ROW}, "truth must be a list of values or of rows"),
    ({"truth": message([[[0, 1]]]), "response": ROW}, "not a deeper list"),
    (
        {"truth": message([[0, None]]), "response": ROW},
        "MulticlassOneHot expects numbers, not null",
    ),
    ({"truth": message([[0, {}]]), "response": ROW}, "not an object"),
    (
        {"truth": message([["a", "b"]]), "response": ROW},
        "MulticlassOneHot expects numbers, not the text 'a'",
    ),
    ({"truth": message([[0, 10**400]]), "response": ROW}, "MulticlassOneHot expects finite number"),
    (
        {"truth": {"data": {"tensor": {"shape": [2, 2], "values": [0, 1]}}}, "response": ROW},
        "truth must have a shape of one or two sizes that fits its 2 values",
    ),
    (
        {"truth": {"data": {"tftensor": {"tensorShape": {}}}}, "response": ROW},
        "truth.data.tftensor must have floatVal",
    ),
    ([], "must be an object, not a list"),
]


@pytest.mark.parametrize(("body", "reason"), BAD_FEEDBACK)
def test_bad_feedback(client, traces, body, reason):
    assert reason in refused(send(client, body), traces)


@pytest.fixture
def binary_client(app, database, workspace, tmp_path):
    server = {"storage_uri": "BinaryMetrics"}
    return keyed_client(configured(app, database, tmp_path, server), workspace.admin_key)


@pytest.mark.parametrize("value", ["1", "a", [1, 2]])
def test_binary_metrics_want_numbers(binary_client, traces, value):
    assert "BinaryMetrics expects" in refused(
        send(binary_client, feedback([value], [value])), traces
    )


def test_a_truth_without_an_answer_has_to_say_of_which_request(client, traces):
    reason = refused(send(client, feedback(None, [[0, 1]]), requestid=None), traces)

    assert reason == "response is required unless ce-requestid identifies it"


BAD_RESPONSES = [
    ({}, "response must have data, predictions or outputs"),
    ({"jsonData": None}, "response must have data, predictions or outputs"),
    ({"outputs": []}, "response.outputs must be a list of values or of rows, and not empty"),
    ({"outputs": {}}, "response.outputs must have an output"),
    ({"outputs": [{"data": [1]}]}, "response.outputs[0].shape is required"),
    ({"outputs": [{"shape": [1], "data": 1}]}, "response.outputs[0].data must be a list, not a"),
    (
        {"outputs": [{"shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 8}}]},
        "response.outputs[0] must have data: values in binary form do not come with an event",
    ),
    ({"predictions": [[[1]]]}, "response.predictions must contain numbers or texts in rows, not a"),
    ({"predictions": [{"b64": "/w=="}]}, "'/w==' is not base64 of a text in UTF-8"),
    ({"predictions": [{"a": 1}, {}]}, "response.predictions[1] must have an output"),
    ({"outputs": [{"shape": [2, 2, 2], "data": [0] * 8}]}, "one or two sizes"),
    ({"outputs": [{"shape": [3], "data": [1]}]}, "fits its 1 values"),
]


@pytest.mark.parametrize(("body", "reason"), BAD_RESPONSES)
def test_bad_responses(client, traces, body, reason):
    assert reason in refused(send(client, body, type=RESPONSE), traces)


BAD_ATTRIBUTES = [
    ({"id": None}, "the event has no id"),
    ({"source": None, "type": None}, "the event has no source, type"),
    ({"specversion": None}, "the event has no specversion"),
    ({"specversion": "2.0"}, "specversion must be 1.0 or 0.3"),
    ({"time": "yesterday"}, "malformed attribute"),
    ({"time": "2026-03-01T10:00:00"}, "timezone aware"),
    ({"time": "2999-03-01T10:00:00Z"}, "must not be more than a day ahead"),
    ({"time": "1960-03-01T10:00:00Z"}, "must not be before 1970"),
    ({"requestid": "r%00"}, "must not contain the character NUL"),
    ({"modelid": "m" * 201}, "ce-modelid must have at most 200 characters"),
    ({"not-a-name": "x"}, "lowercase letters and numbers"),
]


@pytest.mark.parametrize(("changed", "reason"), BAD_ATTRIBUTES)
def test_bad_attributes(client, traces, changed, reason):
    id_ = changed.get("id", "1")
    named = headers(**(changed | {"id_": id_}) if "id" not in changed else {})
    if "id" in changed:
        del named["ce-id"]

    assert reason in refused(client.post("/", json=SEED, headers=named), traces)


BODIES = [
    (headers(), "application/json", b'{"truth": {"data"', "not complete JSON"),
    (headers(), "application/json", b"", "the data is not"),
    (headers(), "application/json", b"\xff", "is not JSON"),
    (headers(), "application/json", b'{"truth":' * 100_000, "nested too deeply"),
    ({}, "application/json", json.dumps(SEED).encode(), "expected a CloudEvent"),
    ({}, "application/cloudevents+json", b"{", "the event is not complete JSON"),
    ({}, "application/cloudevents+json", b"[]", "the event must be an object, not a list"),
    ({}, "application/cloudevents+json", b"{}", "no specversion, id, source, type"),
    ({}, "application/cloudevents-batch+json", b"{}", "the batch must be a list, not an object"),
    ({}, "application/cloudevents-batch+json", b"[1]", "must be an object"),
]


@pytest.mark.parametrize(("named", "type_", "body", "reason"), BODIES)
def test_bad_bodies(client, traces, named, type_, body, reason):
    answer = client.post("/", data=body, headers=named, content_type=type_)

    assert reason in refused(answer, traces)


def test_data_of_another_type_is_refused(client, traces):
    answer = client.post("/", data=b"x", headers=headers(), content_type="text/plain")

    assert answer.status_code == 415
    assert traces() == UNTOUCHED


def test_data_of_another_type_is_nobodys_business_in_events_that_say_nothing_here(client, traces):
    named = headers(type="com.example.other")
    answer = client.post("/", data=b"\xff", headers=named, content_type="application/protobuf")

    assert answer.status_code == 204
    assert traces() == UNTOUCHED


def test_a_number_of_thousands_of_digits(client, traces):
    digits = "9" * 5_000
    body = json.dumps(feedback([0, 1], [0, 1])).replace("[0, 1]", f"[0, {digits}]")
    answer = client.post("/", data=body, headers=headers(), content_type="application/json")

    refused(answer, traces)


def test_too_many_or_too_large(small_client, traces):
    events = json.dumps([attributes(str(n), data={}) for n in range(6)])
    many = small_client.post("/", data=events, content_type="application/cloudevents-batch+json")
    large = send(small_client, SEED | {"padding": "x" * 2_000})
    rows = send(small_client, feedback([[0, 1]] * 3, [[0, 1]] * 3))

    assert (many.status_code, large.status_code, rows.status_code) == (413, 413, 413)
    assert traces() == UNTOUCHED


def test_a_model_of_another_kind_refuses_the_event(client, traces):
    model = {"namespace": "default", "pipeline": "multiclass-model", "model": "classifier"}
    row = model | {"value": 1.5, "time": "2026-03-01T10:00:00Z"}
    assert client.post("/api/v1/predictions", json={"predictions": [row]}).status_code == 200
    before = traces()

    answer = send(client)
    assert answer.status_code == 400
    assert "does regression, and this is classification" in answer.json["detail"]
    assert traces() == before


# --- whatever anybody sends -----------------------------------------------------------------

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([10**400, -(10**400), 1e308, "\0", "x" * 300, 0, 1])
)
NUMBERS = st.integers(-3, 3) | st.floats(0, 1) | SCALARS
ARRAYS = st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=3), max_leaves=12)
ROWS = st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=2), min_size=1, max_size=3)
TENSORS = st.fixed_dictionaries(
    {"values": st.lists(NUMBERS, max_size=6)},
    optional={"shape": st.lists(st.integers(-1, 4), max_size=3)},
)
DIMENSIONS = st.lists(
    st.fixed_dictionaries({"size": st.integers(0, 3) | st.text("012", max_size=2)})
)
TF_TENSORS = st.fixed_dictionaries(
    {"tensorShape": st.fixed_dictionaries({"dim": DIMENSIONS})},
    optional={
        "dtype": st.sampled_from(["DT_FLOAT", "DT_STRING", "DT_COMPLEX64", "DT_X", 3, 9, 99, None]),
        "tensorContent": st.text("AQz=-", max_size=9) | SCALARS,
        "stringVal": st.lists(st.text("AQz=", max_size=5), max_size=2),
        "floatVal": st.lists(NUMBERS, max_size=4),
        "int64Val": st.lists(st.integers() | st.text("0123456789-", max_size=3), max_size=4),
    },
)
PAYLOADS = st.fixed_dictionaries(
    {}, optional={"ndarray": ROWS | ARRAYS, "tensor": TENSORS, "tftensor": TF_TENSORS}
)
METRICS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "key": st.text(max_size=5) | st.sampled_from(["a", "a_total", "a_count", "le"]),
            "type": st.sampled_from(["COUNTER", "GAUGE", "TIMER", "OTHER"]),
            "value": SCALARS,
            "tags": st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2),
        },
    ),
    max_size=3,
)
MESSAGES = st.none() | st.fixed_dictionaries(
    {"data": PAYLOADS}, optional={"meta": st.fixed_dictionaries({}, optional={"metrics": METRICS})}
)
FEEDBACKS = st.fixed_dictionaries(
    {}, optional={"truth": MESSAGES, "response": MESSAGES, "request": MESSAGES}
)
OUTPUTS = st.lists(
    st.fixed_dictionaries({"shape": st.lists(st.integers(-1, 4), max_size=3), "data": ARRAYS}),
    max_size=2,
)
NAMED = st.dictionaries(st.sampled_from(["a", "b64", "data", "shape"]), ARRAYS, max_size=2)
RESPONSES = st.fixed_dictionaries(
    {},
    optional={
        "data": PAYLOADS,
        "predictions": ARRAYS | st.lists(NAMED, max_size=2),
        "outputs": OUTPUTS | ARRAYS | NAMED,
        "jsonData": ARRAYS,
        "status": ARRAYS,
        "error": SCALARS,
    },
)
ATTRIBUTE = st.text(max_size=12) | st.sampled_from(["2026-03-01T10:00:00Z", "1", "r%00", "%ff"])
STRANGE = st.dictionaries(
    st.sampled_from(["id", "source", "time", "requestid", "namespace", "modelid", "specversion"])
    | st.text("abcXYZ019-_", min_size=1, max_size=21),
    ATTRIBUTE | SCALARS,
    max_size=2,
)
TYPES = st.sampled_from([FEEDBACK, REQUEST, RESPONSE, "other"])


def as_json(value):
    """JSON as Python writes it: with NaN, half surrogates and all."""
    return json.dumps(value).encode()


@examples(25, thorough=60, suppress_health_check=list(HealthCheck))
@given(body=FEEDBACKS | RESPONSES, type_=TYPES, strange=STRANGE, batched=st.booleans())
def test_structured_events_are_taken_or_refused_without_a_trace(
    client, traces, body, type_, strange, batched
):
    said = attributes(type=type_) | strange | {"data": body}
    before = traces()
    answer = client.post(
        "/",
        data=as_json([said] if batched else said),
        content_type=f"application/cloudevents{'-batch' if batched else ''}+json",
    )

    assert answer.status_code in (200, 204, 400), answer.text
    if answer.status_code == 400:
        assert answer.json["detail"]
        assert traces() == before
    assert client.get("/v1/metrics").status_code == 200


@examples(20, thorough=40, suppress_health_check=list(HealthCheck))
@given(body=FEEDBACKS | RESPONSES, type_=TYPES, data=st.data())
def test_binary_events_are_taken_or_refused_without_a_trace(client, traces, body, type_, data):
    said = headers(type=type_)
    name = data.draw(st.sampled_from([*said, "ce-other"]))
    text_ = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_categories=["Cc"]))
    said[name] = data.draw(text_)
    encoded = as_json(body)
    cut = data.draw(st.sampled_from([len(encoded), len(encoded) // 2]))
    before = traces()
    answer = client.post("/", data=encoded[:cut], headers=said, content_type="application/json")

    assert answer.status_code in (200, 204, 400), answer.text
    if answer.status_code == 400:
        assert traces() == before
