"""Native ingest of what it must not take: a clear answer, and nothing stored."""

import gzip
import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.given import (
    MODEL,
    NOTHING,
    ndjson,
    predict,
    prediction,
    send,
    tell,
    truth,
    verdict,
)

NDJSON = "application/x-ndjson"
GOOD = prediction(requestId="good", label="a")
SOON = (datetime.now(UTC) + timedelta(days=2)).isoformat()


def problem(answer, status):
    """The problem+json of a refused request."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["title"]
    return answer.json


def batch(fragment, member="predictions", row=GOOD):
    """A good row, and one of the same model with these members, as JSON text."""
    return f'{{"{member}": [{json.dumps(row)}, {{"model": "m"{fragment and ", " + fragment}}}]}}'


# --- bad rows -------------------------------------------------------------------------------

NUL = "must not contain the character NUL"
BAD_ROWS = {
    # numbers
    "1e999": ('"value": 1e999', "value", "number out of range"),
    "-1e999": ('"value": -1e999', "value", "number out of range"),
    "a value of 401 digits": (f'"value": {"9" * 401}', "value", "number out of range"),
    "a value beyond any quantity": ('"value": 1e101', "value", "<= 1e+100"),
    "a value in quotes": ('"value": "1"', "value", "got `str`"),
    "a value true": ('"value": true', "value", "got `bool`"),
    "batchIndex of 401 digits": (f'"label": "a", "batchIndex": {"9" * 401}', "batchIndex", "<="),
    "batchIndex -1": ('"label": "a", "batchIndex": -1', "batchIndex", ">= 0"),
    "batchIndex 2**31": ('"label": "a", "batchIndex": 2147483648', "batchIndex", "<= 2147483647"),
    "batchIndex 1.5": ('"label": "a", "batchIndex": 1.5', "batchIndex", "got `float`"),
    "latency -1": ('"label": "a", "latencySeconds": -1', "latencySeconds", ">= 0"),
    "latency 1e999": ('"label": "a", "latencySeconds": 1e999', "latencySeconds", "out of range"),
    # times
    "a time without offset": (
        '"label": "a", "time": "2025-01-01T00:00:00"',
        "time",
        "with a timezone",
    ),
    "a date": ('"label": "a", "time": "2025-01-01"', "time", "invalid RFC3339"),
    "a time as number": ('"label": "a", "time": 1740484282', "time", "got `int`"),
    "February 30": ('"label": "a", "time": "2025-02-30T00:00:00Z"', "time", "invalid RFC3339"),
    "year 10000": ('"label": "a", "time": "10000-01-01T00:00:00Z"', "time", "invalid RFC3339"),
    "year 9999 far west": (
        '"label": "a", "time": "9999-12-31T23:59:59-14:00"',
        "time",
        "must not be more than a day ahead of the server's clock",
    ),
    "two days ahead": (
        f'"label": "a", "time": "{SOON}"',
        "time",
        "must not be more than a day ahead of the server's clock",
    ),
    "year 1 far east": (
        '"label": "a", "time": "0001-01-01T00:00:00+14:00"',
        "time",
        "must not be before 1970",
    ),
    "1969": ('"label": "a", "time": "1969-12-31T23:59:59.999999Z"', "time", "before 1970"),
    # texts
    "a label of 10 MB": (f'"label": "{"a" * 10_000_000}"', "label", "length <= 200"),
    "an empty label": ('"label": ""', "label", "length >= 1"),
    "a label that is a number": ('"label": 5', "label", "got `int`"),
    "an empty requestId": ('"label": "a", "requestId": ""', "requestId", "length >= 1"),
    "NUL in label": (r'"label": "a\u0000"', "label", NUL),
    "NUL in a key of scores": (r'"scores": {"a": 0.5, "\u0000": 0.5}', "scores", NUL),
    "NUL in a detection": (r'"detections": [{"label": "\u0000"}]', "detections", NUL),
    "NUL in requestId": (r'"label": "a", "requestId": "\u0000"', "requestId", NUL),
    "NUL in namespace": (r'"label": "a", "namespace": "\u0000"', "namespace", NUL),
    "NUL in pipeline": (r'"label": "a", "pipeline": "\u0000"', "pipeline", NUL),
    "NUL in deployment": (r'"label": "a", "deployment": "\u0000"', "deployment", NUL),
    "NUL in version": (r'"label": "a", "version": "\u0000"', "version", NUL),
    "NUL in deploymentType": (r'"label": "a", "deploymentType": "\u0000"', "deploymentType", NUL),
    "NUL in serverVersion": (r'"label": "a", "serverVersion": "\u0000"', "serverVersion", NUL),
    # outputs
    "label and value": (
        '"label": "a", "value": 1',
        "",
        "has more than one output: label, value",
    ),
    "scores and detections": (
        '"scores": {"a": 1}, "detections": []',
        "",
        "has more than one output: scores, detections",
    ),
    "no output": (
        "",
        "",
        "has no output: give label, scores, value or detections, or say error",
    ),
    "null outputs": ('"label": null, "value": null', "", "has no output"),
    "error as text": ('"error": "timeout"', "error", "expected `bool`"),
    "no scores": ('"scores": {}', "", "scores is empty"),
    "a list of scores": ('"scores": [0.5]', "scores", "got `array`"),
    "a score above 1": ('"scores": {"a": 1.5}', "scores[...]", "<= 1.0"),
    "a score in quotes": ('"scores": {"a": "1"}', "scores[...]", "got `str`"),
    "a score without a name": ('"scores": {"": 1}', "scores", "length >= 1"),
    "confidence 1.1": ('"label": "a", "confidence": 1.1', "confidence", "<= 1.0"),
    "confidence -0.1": ('"label": "a", "confidence": -0.1', "confidence", ">= 0.0"),
    "confidence in quotes": ('"label": "a", "confidence": "0.5"', "confidence", "got `str`"),
    "confidence true": ('"label": "a", "confidence": true', "confidence", "got `bool`"),
    "confidence of a value": ('"value": 1, "confidence": 0.5', "confidence", "goes with label"),
    "confidence of scores": (
        '"scores": {"a": 1}, "confidence": 1',
        "confidence",
        "goes with label only",
    ),
    "confidence of a detection": (
        '"detections": [{"label": "a"}, {"label": "b", "confidence": 2}]',
        "detections[1].confidence",
        "<= 1.0",
    ),
    "a detection without label": ('"detections": [{}]', "detections[0].label", "is required"),
    # members
    "an unknown member": ('"label": "a", "colour": 1', "colour", "is not a known field"),
    "a member in snake case": (
        '"label": "a", "request_id": "r"',
        "request_id",
        "is not a known field",
    ),
    "an unknown member of a detection": (
        '"detections": [{"label": "a", "box": []}]',
        "detections[0].box",
        "is not a known field",
    ),
}


@pytest.mark.parametrize(
    ("fragment", "field", "reason"), BAD_ROWS.values(), ids=list(BAD_ROWS.keys())
)
def test_a_bad_row_refuses_the_batch(client, stored, fragment, field, reason):
    said = problem(send(client, batch(fragment)), 422)

    assert said["type"] == "/problems/InvalidRows"
    (error,) = said["errors"]
    assert (error["index"], error["field"]) == (1, field)
    assert reason in error["reason"]
    assert stored() == NOTHING


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        pytest.param({"label": "a"}, "model", "is required", id="no model"),
        pytest.param({"model": "", "label": "a"}, "model", "length >= 1", id="empty"),
        pytest.param({"model": "m" * 201, "label": "a"}, "model", "<= 200", id="201 characters"),
        pytest.param({"model": None, "label": "a"}, "model", "got `null`", id="null"),
        pytest.param([], "", "expected `object`, got `array`", id="a row that is an array"),
        pytest.param(None, "", "expected `object`, got `null`", id="a row that is null"),
    ],
)
def test_a_row_without_a_good_model_is_refused(client, stored, row, field, reason):
    (error,) = problem(predict(client, row), 422)["errors"]

    assert (error["index"], error["field"]) == (0, field)
    assert reason in error["reason"]
    assert stored() == NOTHING


BAD_TRUTHS = {
    "both": ('"requestId": "r", "label": "a", "value": 1', "", "has both label and value"),
    "none": ('"requestId": "r"', "", "has no truth: give label or value"),
    "no requestId": ('"label": "a"', "requestId", "is required"),
    "an empty requestId": ('"requestId": "", "label": "a"', "requestId", "length >= 1"),
    "1e999": ('"requestId": "r", "value": 1e999', "value", "number out of range"),
    "NUL in label": (r'"requestId": "r", "label": "\u0000"', "label", NUL),
    "NUL in requestId": (r'"requestId": "\u0000", "label": "a"', "requestId", NUL),
    "NUL in namespace": (
        r'"requestId": "r", "label": "a", "namespace": "\u0000"',
        "namespace",
        NUL,
    ),
    "a time": ('"requestId": "r", "label": "a", "time": null', "time", "is not a known field"),
    "batchIndex -1": ('"requestId": "r", "label": "a", "batchIndex": -1', "batchIndex", ">= 0"),
}


@pytest.mark.parametrize(
    ("fragment", "field", "reason"), BAD_TRUTHS.values(), ids=list(BAD_TRUTHS.keys())
)
def test_a_bad_truth_refuses_the_batch(client, stored, fragment, field, reason):
    body = batch(fragment, "feedback", truth("good", label="a"))

    (error,) = problem(send(client, body, to="feedback"), 422)["errors"]
    assert (error["index"], error["field"]) == (1, field)
    assert reason in error["reason"]
    assert stored() == NOTHING


# --- bad bodies -----------------------------------------------------------------------------

JSON_OBJECT = "the body is not a JSON object: "
FORM = 'the body must be {"predictions": [...]} and have no other member'
BAD_BODIES = {
    "nothing": (b"", JSON_OBJECT + "input data was truncated"),
    "truncated": (b'{"predictions": [{"model": "m"', JSON_OBJECT + "input data was truncated"),
    "NaN": (batch('"value": NaN'), JSON_OBJECT + "JSON is malformed: invalid character"),
    "Infinity": (batch('"value": Infinity'), JSON_OBJECT + "JSON is malformed"),
    "-Infinity": (batch('"value": -Infinity'), JSON_OBJECT + "JSON is malformed"),
    "lone low surrogate": (batch(r'"label": "\udc00x"'), JSON_OBJECT + "JSON is malformed"),
    "lone high surrogate": (batch(r'"label": "\ud800 alone"'), JSON_OBJECT + "JSON is malformed"),
    "UTF-16": (batch('"label": "a"').encode("utf-16"), JSON_OBJECT + "JSON is malformed"),
    "an array": (b"[]", JSON_OBJECT + "expected `object`, got `array`"),
    "a text": (b'"predictions"', JSON_OBJECT + "expected `object`, got `str`"),
    "brackets without end": (b'{"predictions":' + b"[" * 100_000, JSON_OBJECT),
    "brackets upon brackets": (batch(f'"label": {"[" * 9_999}{"]" * 9_999}'), "nested too deeply"),
    "no rows": (b'{"predictions": []}', "the batch is empty"),
    "null rows": (b'{"predictions": null}', '"predictions" is not a JSON array'),
    "rows in an object": (b'{"predictions": {}}', '"predictions" is not a JSON array'),
    "another member": (b'{"feedback": []}', FORM),
    "a member too many": (b'{"predictions": [], "source": "x"}', FORM),
    "no member": (b"{}", FORM),
}


@pytest.mark.parametrize(("body", "detail"), BAD_BODIES.values(), ids=list(BAD_BODIES.keys()))
def test_a_body_that_is_no_batch_is_refused(client, stored, body, detail):
    said = problem(send(client, body), 400)

    assert said["type"] == "/problems/InvalidInput"
    assert detail in said["detail"]
    assert stored() == NOTHING


@pytest.mark.parametrize(
    "label", [b'"\xe9"', b'"\xed\xa0\x80"', b'"\xff"'], ids=["Latin-1", "surrogate", "no text"]
)
def test_a_text_that_is_not_utf_8_is_refused(client, stored, label):
    body = batch('"label": LABEL').encode().replace(b"LABEL", label)

    (error,) = problem(send(client, body), 422)["errors"]
    assert error == {"index": 1, "field": "", "reason": "text is not UTF-8"}
    assert stored() == NOTHING


@pytest.mark.parametrize("body", ["", "\n \r\n"], ids=["nothing", "blank lines"])
def test_lines_without_a_row_are_refused(client, stored, body):
    said = problem(send(client, body, content_type=NDJSON), 400)

    assert said["detail"] == "the batch is empty"
    assert stored() == NOTHING


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"model": "m", "value": NaN}', "JSON is malformed: invalid character"),
        ('{"model": "m"', "input data was truncated"),
        ('{"model": "m", "label": "a"} {}', "JSON is malformed: trailing characters"),
        (r'{"model": "m", "label": "\ud800 alone"}', "JSON is malformed"),
        ('{"predictions": []}', "is not a known field"),
        ('{"model": "m", "label": ' + "[" * 9_999 + "]" * 9_999 + "}", "expected `str | null`"),
        ("[]", "expected `object`, got `array`"),
    ],
    ids=["NaN", "truncated", "two rows", "surrogate", "envelope", "brackets", "array"],
)
def test_a_bad_line_refuses_the_batch_and_is_named(client, stored, line, reason):
    body = ndjson(GOOD) + "\n" + line + "\n"

    (error,) = problem(send(client, body, content_type=NDJSON), 422)["errors"]
    assert error["index"] == 1
    assert reason in error["reason"]
    assert stored() == NOTHING


def test_a_member_given_twice_is_read_as_its_last(client, outputs):
    body = '{"predictions": 1, "predictions": [{"model": "m", "label": "a", "label": "b"}]}'

    assert verdict(send(client, body)) == (1, 0, 0)
    assert [label for label, *_ in outputs()] == ["b"]


# --- many rows ------------------------------------------------------------------------------


def test_of_many_bad_rows_the_first_hundred_are_named(client, stored):
    answer = predict(client, GOOD, *[MODEL | {"label": ""}] * 60, *[MODEL] * 60)

    errors = problem(answer, 422)["errors"]
    assert [error["index"] for error in errors] == list(range(1, 101))
    assert {error["field"] for error in errors} == {"label", ""}
    assert stored() == NOTHING


def test_one_bad_row_among_a_thousand_stores_nothing(client, stored):
    rows = [prediction(requestId=f"r{number}", label="a") for number in range(1_000)]

    answer = predict(client, *rows[:500], prediction(label="a", value=1), *rows[500:])
    (error,) = problem(answer, 422)["errors"]
    assert error["index"] == 500
    assert stored() == NOTHING


# --- headers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/xml", None],
)
def test_another_content_type_is_refused(client, stored, content_type):
    said = problem(send(client, batch('"label": "a"'), content_type=content_type), 415)

    assert said["detail"] == "Content-Type must be application/json or application/x-ndjson."
    assert stored() == NOTHING


def test_an_unknown_content_encoding_is_refused(client, stored):
    said = problem(send(client, batch('"label": "a"'), Content_Encoding="br"), 415)

    assert said["detail"] == "Content-Encoding must be gzip, or absent."
    assert stored() == NOTHING


PACKED = gzip.compress(batch('"label": "a"').encode())


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        pytest.param(b"no gzip", "the body is not valid gzip", id="no gzip"),
        pytest.param(PACKED[:10] + b"\xff" * 9, "the body is not valid gzip", id="broken"),
        pytest.param(PACKED + b"more", "the body is not valid gzip", id="something behind it"),
        pytest.param(PACKED[:-8] + bytes(8), "the body is not valid gzip", id="another checksum"),
        pytest.param(PACKED[:-9], "the gzip body ends too early", id="truncated"),
        pytest.param(PACKED[:5], "the gzip body ends too early", id="half a header"),
    ],
)
def test_broken_gzip_is_refused(client, stored, body, detail):
    assert problem(send(client, body, Content_Encoding="gzip"), 400)["detail"] == detail
    assert stored() == NOTHING


KEY_RULE = "Idempotency-Key must be 1 to 255 printable characters"


@pytest.mark.parametrize(
    "key", ["", "k" * 256, "a\x01b", "a\tb"], ids=["empty", "256 characters", "control", "tab"]
)
def test_a_bad_idempotency_key_is_refused(client, stored, key):
    answer = send(client, batch('"label": "a"'), Idempotency_Key=key)

    assert problem(answer, 400)["detail"] == KEY_RULE
    assert stored() == NOTHING


def test_an_invalid_batch_does_not_use_up_its_key(client, stored):
    problem(send(client, batch('"label": ""'), Idempotency_Key="k"), 422)
    assert stored() == NOTHING

    assert verdict(send(client, batch('"label": "a"'), Idempotency_Key="k")) == (2, 0, 0)


# --- limits ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "send_rows",
    [
        lambda client, rows: predict(client, *rows),
        lambda client, rows: send(client, ndjson(*rows), content_type=NDJSON),
    ],
    ids=["JSON", "lines"],
)
def test_too_many_rows_are_refused(small_client, stored, send_rows):
    rows = [MODEL | {"label": "a"}] * 6

    said = problem(send_rows(small_client, rows), 413)
    assert said["type"] == "/problems/TooLarge"
    assert said["detail"] == "a batch may hold 5 rows; this one has 6"
    assert stored() == NOTHING
    assert verdict(send_rows(small_client, rows[:5])) == (5, 0, 0)


def test_too_many_truths_are_refused(small_client, stored):
    problem(tell(small_client, *[truth("r", label="a")] * 6), 413)

    assert stored() == NOTHING


def test_too_many_bytes_are_refused(small_client, stored):
    said = problem(send(small_client, " " * 2_001), 413)

    assert "2000 bytes" in said["detail"]
    assert stored() == NOTHING


def test_a_body_of_just_as_many_bytes_is_read(small_client):
    body = batch('"label": "a"').ljust(2_000)

    assert verdict(send(small_client, body)) == (2, 0, 0)
    assert verdict(send(small_client, gzip.compress(body.encode()), Content_Encoding="gzip"))


def test_a_body_is_measured_unpacked(small_client):
    packed = gzip.compress(b" " * 2_001)

    said = problem(send(small_client, packed, Content_Encoding="gzip"), 413)
    assert said["detail"] == "a body may have 2000 bytes when unpacked"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(gzip.compress(bytes(10**8)), 413, id="a hundred megabytes of nothing"),
        pytest.param(gzip.compress(b"") * 200_000, 400, id="two hundred thousand members"),
    ],
)
def test_a_gzip_bomb_is_refused_quickly(client, body, status):
    began = time.process_time()

    problem(send(client, body, Content_Encoding="gzip"), status)
    assert timedelta(seconds=time.process_time() - began) < timedelta(seconds=3)
