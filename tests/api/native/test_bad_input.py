"""Native ingest of invalid input: a clear error, and nothing is stored."""

import gzip
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from backports import zstd

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
EMPTY = "must not be empty"
TOO_LONG = "must have at most 200 characters"
BEYOND = "is out of range"
AT_MOST_1, AT_LEAST_0 = "must be at most 1.0", "must be at least 0.0"
TEXT_FOR_NUMBER = "must be a number, not a text"
TRUE_FOR_NUMBER = "must be a number, not true or false"
NO_TIME = "must be RFC 3339 with an offset, like 2026-03-01T10:00:00Z"
AHEAD = "must not be more than a day ahead of the server's clock"
NO_OUTPUT = "has no output: give label, scores, value or detections, or set error"
NOT_WHOLE = "must be a whole number, written without a point or exponent"
BAD_ROWS = {
    # numbers
    "1e999": ('"value": 1e999', "value", BEYOND),
    "-1e999": ('"value": -1e999', "value", BEYOND),
    "a value of 401 digits": (f'"value": {"9" * 401}', "value", BEYOND),
    "a value beyond any quantity": ('"value": 1e101', "value", "must be at most 1e+100"),
    "a value in quotes": ('"value": "1"', "value", TEXT_FOR_NUMBER),
    "a value true": ('"value": true', "value", TRUE_FOR_NUMBER),
    "batchIndex of 401 digits": (
        f'"label": "a", "batchIndex": {"9" * 401}',
        "batchIndex",
        "must be at most 2147483647",
    ),
    "batchIndex -1": ('"label": "a", "batchIndex": -1', "batchIndex", "must be at least 0"),
    "batchIndex 2**31": (
        '"label": "a", "batchIndex": 2147483648',
        "batchIndex",
        "must be at most 2147483647",
    ),
    "batchIndex 1.5": ('"label": "a", "batchIndex": 1.5', "batchIndex", NOT_WHOLE),
    "batchIndex 1e5": ('"label": "a", "batchIndex": 1e5', "batchIndex", NOT_WHOLE),
    "batchIndex in quotes": (
        '"label": "a", "batchIndex": "1"',
        "batchIndex",
        "must be a whole number, not a text",
    ),
    "latency -1": ('"label": "a", "latencySeconds": -1', "latencySeconds", AT_LEAST_0),
    "latency 1e999": ('"label": "a", "latencySeconds": 1e999', "latencySeconds", BEYOND),
    # times
    "a time without offset": ('"label": "a", "time": "2025-01-01T00:00:00"', "time", NO_TIME),
    "a date": ('"label": "a", "time": "2025-01-01"', "time", NO_TIME),
    "a time as number": (
        '"label": "a", "time": 1740484282',
        "time",
        "must be a time, not a whole number",
    ),
    "February 30": ('"label": "a", "time": "2025-02-30T00:00:00Z"', "time", NO_TIME),
    "year 10000": ('"label": "a", "time": "10000-01-01T00:00:00Z"', "time", NO_TIME),
    "year 9999 far west": (
        '"label": "a", "time": "9999-12-31T23:59:59-14:00"',
        "time",
        AHEAD,
    ),
    "two days ahead": (
        f'"label": "a", "time": "{SOON}"',
        "time",
        AHEAD,
    ),
    "year 1 far east": (
        '"label": "a", "time": "0001-01-01T00:00:00+14:00"',
        "time",
        "must not be before 1970",
    ),
    "1969": (
        '"label": "a", "time": "1969-12-31T23:59:59.999999Z"',
        "time",
        "must not be before 1970",
    ),
    # texts
    "a label of 10 MB": (f'"label": "{"a" * 10_000_000}"', "label", TOO_LONG),
    "an empty label": ('"label": ""', "label", EMPTY),
    "a label that is a list": ('"label": [5]', "label", "must be a text or a number"),
    "a label of 201 digits": (f'"label": {"9" * 201}', "label", TOO_LONG),
    "a label of 1e999": ('"label": 1e999', "label", BEYOND),
    "a label of 1e300": ('"detections": [{"label": 1e300}]', "detections[0].label", TOO_LONG),
    "an empty requestId": ('"label": "a", "requestId": ""', "requestId", EMPTY),
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
    "no output": ("", "", NO_OUTPUT),
    "null outputs": ('"label": null, "value": null', "", NO_OUTPUT),
    "error as text": ('"error": "timeout"', "error", "must be true or false, not a text"),
    "no scores": ('"scores": {}', "", "scores is empty"),
    "a list of scores": ('"scores": [0.5]', "scores", "must be an object, not a list"),
    "a score above 1": ('"scores": {"a": 1.5}', "scores[...]", AT_MOST_1),
    "a score in quotes": ('"scores": {"a": "1"}', "scores[...]", TEXT_FOR_NUMBER),
    "a score without a name": ('"scores": {"": 1}', "scores", "a key must not be empty"),
    "a score with a name of 201 characters": (
        f'"scores": {{"{"a" * 201}": 1}}',
        "scores",
        "a key must have at most 200 characters",
    ),
    "confidence 1.1": ('"label": "a", "confidence": 1.1', "confidence", AT_MOST_1),
    "confidence -0.1": ('"label": "a", "confidence": -0.1', "confidence", AT_LEAST_0),
    "confidence in quotes": ('"label": "a", "confidence": "0.5"', "confidence", TEXT_FOR_NUMBER),
    "confidence true": ('"label": "a", "confidence": true', "confidence", TRUE_FOR_NUMBER),
    "confidence of a value": (
        '"value": 1, "confidence": 0.5',
        "confidence",
        "goes with label only",
    ),
    "confidence of scores": (
        '"scores": {"a": 1}, "confidence": 1',
        "confidence",
        "goes with label only",
    ),
    "confidence of a detection": (
        '"detections": [{"label": "a"}, {"label": "b", "confidence": 2}]',
        "detections[1].confidence",
        AT_MOST_1,
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

    assert said["type"] == "/problems#InvalidRows"
    (error,) = said["errors"]
    assert (error["index"], error["field"]) == (1, field)
    assert error["reason"] == reason
    assert stored() == NOTHING


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        pytest.param({"label": "a"}, "model", "is required", id="no model"),
        pytest.param({"model": "", "label": "a"}, "model", EMPTY, id="empty"),
        pytest.param({"model": "m" * 201, "label": "a"}, "model", TOO_LONG, id="201 characters"),
        pytest.param({"model": None, "label": "a"}, "model", "must be a text, not null", id="null"),
        pytest.param([], "", "must be an object, not a list", id="a row that is an array"),
        pytest.param(None, "", "must be an object, not null", id="a row that is null"),
    ],
)
def test_a_row_without_a_good_model_is_refused(client, stored, row, field, reason):
    (error,) = problem(predict(client, row), 422)["errors"]

    assert (error["index"], error["field"]) == (0, field)
    assert error["reason"] == reason
    assert stored() == NOTHING


BAD_TRUTHS = {
    "both": ('"requestId": "r", "label": "a", "value": 1', "", "has both label and value"),
    "none": ('"requestId": "r"', "", "has no truth: give label or value"),
    "no requestId": ('"label": "a"', "requestId", "is required"),
    "an empty requestId": ('"requestId": "", "label": "a"', "requestId", EMPTY),
    "1e999": ('"requestId": "r", "value": 1e999', "value", BEYOND),
    "NUL in label": (r'"requestId": "r", "label": "\u0000"', "label", NUL),
    "NUL in requestId": (r'"requestId": "\u0000", "label": "a"', "requestId", NUL),
    "NUL in namespace": (
        r'"requestId": "r", "label": "a", "namespace": "\u0000"',
        "namespace",
        NUL,
    ),
    "a time": ('"requestId": "r", "label": "a", "time": null', "time", "is not a known field"),
    "batchIndex -1": (
        '"requestId": "r", "label": "a", "batchIndex": -1',
        "batchIndex",
        "must be at least 0",
    ),
}


@pytest.mark.parametrize(
    ("fragment", "field", "reason"), BAD_TRUTHS.values(), ids=list(BAD_TRUTHS.keys())
)
def test_a_bad_truth_refuses_the_batch(client, stored, fragment, field, reason):
    body = batch(fragment, "feedback", truth("good", label="a"))

    (error,) = problem(send(client, body, to="feedback"), 422)["errors"]
    assert (error["index"], error["field"]) == (1, field)
    assert error["reason"] == reason
    assert stored() == NOTHING


# --- bad bodies -----------------------------------------------------------------------------

INCOMPLETE = "is not complete JSON, or has half a surrogate pair"
NO_JSON = "the body is not JSON: "
BAD_CHARACTER = NO_JSON + "invalid character (byte "
DEEP = "the body is nested too deeply"
FORM = 'the body must be {"predictions": [...]} and have no other member'
BAD_BODIES = {
    "nothing": (b"", "the body " + INCOMPLETE),
    "truncated": (b'{"predictions": [{"model": "m"', "the body " + INCOMPLETE),
    "NaN": (batch('"value": NaN'), BAD_CHARACTER),
    "Infinity": (batch('"value": Infinity'), BAD_CHARACTER),
    "-Infinity": (batch('"value": -Infinity'), BAD_CHARACTER),
    "lone low surrogate": (batch(r'"label": "\udc00x"'), NO_JSON + "invalid utf-16 surrogate pair"),
    "lone high surrogate": (
        batch(r'"label": "\ud800 alone"'),
        NO_JSON + "unexpected end of hex escape",
    ),
    "UTF-16": (batch('"label": "a"').encode("utf-16"), BAD_CHARACTER + "0)"),
    "an array": (b"[]", "the body must be an object, not a list"),
    "a text": (b'"predictions"', "the body must be an object, not a text"),
    "brackets without end": (b'{"predictions":' + b"[" * 100_000, DEEP),
    "brackets upon brackets": (batch(f'"label": {"[" * 9_999}{"]" * 9_999}'), DEEP),
    "no rows": (b'{"predictions": []}', "the batch is empty"),
    "null rows": (b'{"predictions": null}', '"predictions" must be a list, not null'),
    "rows in an object": (b'{"predictions": {}}', '"predictions" must be a list, not an object'),
    "another member": (b'{"feedback": []}', FORM),
    "a member too many": (b'{"predictions": [], "source": "x"}', FORM),
    "no member": (b"{}", FORM),
}


@pytest.mark.parametrize(("body", "detail"), BAD_BODIES.values(), ids=list(BAD_BODIES.keys()))
def test_a_body_that_is_no_batch_is_refused(client, stored, body, detail):
    said = problem(send(client, body), 400)

    assert said["type"] == "/problems#InvalidInput"
    assert said["detail"].startswith(detail)
    assert stored() == NOTHING


@pytest.mark.parametrize(
    "label", [b'"\xe9"', b'"\xed\xa0\x80"', b'"\xff"'], ids=["Latin-1", "surrogate", "no text"]
)
def test_a_text_that_is_not_utf_8_is_refused(client, stored, label):
    body = batch('"label": LABEL').encode().replace(b"LABEL", label)

    (error,) = problem(send(client, body), 422)["errors"]
    assert error == {"index": 1, "field": "", "reason": "is not UTF-8"}
    assert stored() == NOTHING


@pytest.mark.parametrize("body", ["", "\n \r\n"], ids=["nothing", "blank lines"])
def test_lines_without_a_row_are_refused(client, stored, body):
    said = problem(send(client, body, content_type=NDJSON), 400)

    assert said["detail"] == "the batch is empty"
    assert stored() == NOTHING


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"model": "m", "value": NaN}', "is not JSON: invalid character (byte 24)"),
        ('{"model": "m"', INCOMPLETE),
        ('{"model": "m", "label": "a"} {}', "is not JSON: trailing characters (byte 30)"),
        (r'{"model": "m", "label": "\ud800 alone"}', "is not JSON: unexpected end of "),
        ('{"predictions": []}', "is not a known field"),
        (
            '{"model": "m", "label": ' + "[" * 9_999 + "]" * 9_999 + "}",
            "is nested too deeply",
        ),
        ("[]", "must be an object, not a list"),
    ],
    ids=["NaN", "truncated", "two rows", "surrogate", "envelope", "brackets", "array"],
)
def test_a_bad_line_refuses_the_batch_and_is_named(client, stored, line, reason):
    body = ndjson(GOOD) + "\n" + line + "\n"

    (error,) = problem(send(client, body, content_type=NDJSON), 422)["errors"]
    assert error["index"] == 1
    assert error["reason"].startswith(reason)
    assert stored() == NOTHING


# --- many rows ------------------------------------------------------------------------------


def test_of_many_bad_rows_the_first_hundred_are_named(client, stored):
    answer = predict(client, GOOD, *[MODEL | {"label": ""}] * 60, *[MODEL] * 60)

    said = problem(answer, 422)
    assert said["detail"] == "invalid rows: at least 100; nothing was stored"
    assert [error["index"] for error in said["errors"]] == list(range(1, 101))
    assert {error["field"] for error in said["errors"]} == {"label", ""}
    assert stored() == NOTHING


@pytest.mark.parametrize(
    ("bad", "count"), [(1, "1"), (99, "99"), (100, "at least 100"), (101, "at least 100")]
)
def test_bad_rows_are_counted_as_far_as_they_are_named(client, bad, count):
    said = problem(predict(client, GOOD, *[MODEL | {"label": ""}] * bad), 422)

    assert said["detail"] == f"invalid rows: {count}; nothing was stored"
    assert len(said["errors"]) == min(bad, 100)


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

    assert said["detail"] == (
        "Content-Type must be application/json or application/x-ndjson or text/csv or"
        " application/vnd.apache.arrow.stream or application/vnd.apache.parquet."
    )
    assert stored() == NOTHING


def test_an_unknown_content_encoding_is_refused(client, stored):
    said = problem(send(client, batch('"label": "a"'), Content_Encoding="br"), 415)

    assert said["detail"] == "Content-Encoding must be gzip or zstd, or absent."
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


PACKED_BY_ZSTD = zstd.compress(
    batch('"label": "a"').encode(), options={zstd.CompressionParameter.checksum_flag: 1}
)
LARGE_WINDOW = {zstd.CompressionParameter.window_log: 27}


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        pytest.param(b"no zstd", "the body is not valid zstd", id="no zstd"),
        pytest.param(
            PACKED_BY_ZSTD + b"more", "the body is not valid zstd", id="something behind it"
        ),
        pytest.param(
            PACKED_BY_ZSTD[:-4] + bytes(4), "the body is not valid zstd", id="another checksum"
        ),
        pytest.param(PACKED_BY_ZSTD[:-9], "the zstd body ends too early", id="truncated"),
        pytest.param(PACKED_BY_ZSTD[:5], "the zstd body ends too early", id="half a header"),
        pytest.param(
            b"".join(
                map(zstd.ZstdCompressor(options=LARGE_WINDOW).compress, [bytes(9)] * 9, [1] * 9)
            ),
            "the body is not valid zstd",
            id="a window of 128 MiB",
        ),
    ],
)
def test_broken_zstd_is_refused(client, stored, body, detail):
    assert problem(send(client, body, Content_Encoding="zstd"), 400)["detail"] == detail
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
    assert said["type"] == "/problems#TooLarge"
    assert said["detail"] == "a batch may contain at most 5 rows; this one has 6"
    assert stored() == NOTHING
    assert verdict(send_rows(small_client, rows[:5])) == (5, 0, 0)


def test_too_many_truths_are_refused(small_client, stored):
    problem(tell(small_client, *[truth("r", label="a")] * 6), 413)

    assert stored() == NOTHING


def test_too_many_bytes_are_refused(small_client, stored):
    said = problem(send(small_client, " " * 2_001), 413)

    assert said["detail"] == "a body may have at most 2000 bytes"
    assert stored() == NOTHING


def test_a_body_of_just_as_many_bytes_is_read(small_client):
    body = batch('"label": "a"').ljust(2_000)

    assert verdict(send(small_client, body)) == (2, 0, 0)
    assert verdict(send(small_client, gzip.compress(body.encode()), Content_Encoding="gzip"))
    assert verdict(send(small_client, zstd.compress(body.encode()), Content_Encoding="zstd"))


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
def test_a_body_is_measured_unpacked(small_client, encoding, pack):
    said = problem(send(small_client, pack(b" " * 2_001), Content_Encoding=encoding), 413)
    assert said["detail"] == "a body may have at most 2000 bytes when unpacked"


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
@pytest.mark.parametrize(
    ("content", "times", "status"),
    [
        pytest.param(bytes(10**8), 1, 413, id="a hundred megabytes of nothing"),
        pytest.param(b"", 200_000, 400, id="two hundred thousand members"),
    ],
)
def test_a_gzip_bomb_is_refused_quickly(client, encoding, pack, content, times, status):
    body = pack(content) * times
    began = time.process_time()

    problem(send(client, body, Content_Encoding=encoding), status)
    # one copy of the rest for each member would take minutes
    assert timedelta(seconds=time.process_time() - began) < timedelta(seconds=15)
