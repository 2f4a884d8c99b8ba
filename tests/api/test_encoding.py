"""What msgspec writes is what marshmallow's schemas say, for every route that has one."""

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from types import SimpleNamespace

import pytest
from marshmallow import Schema, fields, post_dump

from app.api.http.answers import Writer
from app.api.http.numbers import Float32, UtcTime
from app.api.native.numbers import Requested
from tests.api.given import MODEL
from tests.api.test_every_route import NATIVE_DAY, given_something, routes
from tests.api.test_statements import ABSENT, Visitor

HOURLY = MODEL | NATIVE_DAY | {"interval": "1h"}
MORE = [  # members that answers have if they are requested
    ("/api/v1/metrics/classification", HOURLY | {"explain": "true", "confidence": "0.9"}),
    ("/api/v1/metrics/classification", HOURLY | {"groupBy": "country"}),
    ("/api/v1/metrics/regression", HOURLY | {"model": "price", "confidence": "0.9"}),
    ("/api/v1/metrics/scores", HOURLY | {"confidence": "0.9"}),
]


@pytest.fixture
def written(monkeypatch):
    """The answers of this test: the schema, what was to be written, and what was."""
    seen = []
    original = Writer.__call__

    def recording(writer, answer):
        body = original(writer, answer)
        seen.append((writer.schema, answer, body))
        return body

    monkeypatch.setattr(Writer, "__call__", recording)
    return seen


def same(schema, answer, body):
    """Whether both are the same text, member by member; a double may have its digits elsewhere."""
    return repr(json.loads(body)) == repr(json.loads(json.dumps(schema.dump(answer))))


def test_every_route_writes_what_its_schema_says(app, client, workspace, written):
    given_something(client)
    page = app.test_client()
    page.post("/login", data={"key": workspace.admin_key})
    visitor = Visitor(client, page, workspace)
    schemas = set()
    for route in routes(app):
        written.clear()
        with visitor.prepared(*route)() as answer:
            assert answer.status_code < 400 or route in ABSENT, (route, answer.text)
        for schema, dumped, body in written:
            assert same(schema, dumped, body), route
            schemas.add(type(schema))
    for path, question in MORE:
        assert client.get(path, query_string=question).status_code == 200
    assert all(same(*answer) for answer in written)

    assert len(schemas) >= 30


def test_answers_are_json_in_utf_8(client, written):
    answer = client.get("/api/v1/models", query_string=NATIVE_DAY)

    assert answer.headers["Content-Type"] == "application/json"
    assert answer.data == written[0][2]


class Colour(StrEnum):
    RED = "red"


class InnerSchema(Schema):
    name = fields.String(data_key="Name")
    share = fields.Float(allow_none=True)


class OuterSchema(Schema):
    n = fields.Integer()
    share = fields.Float(allow_none=True)
    flag = fields.Boolean()
    colour = fields.String()
    at = UtcTime(data_key="madeAt")
    single = Float32()
    inner = fields.Nested(InnerSchema, allow_none=True)
    requested = Requested(InnerSchema)
    inners = fields.List(fields.Nested(InnerSchema), attribute="parts.all", data_key="inners")
    matrix = fields.List(fields.List(fields.Integer()))
    numbers = fields.List(fields.Float(allow_none=True), allow_none=True)
    times = fields.List(UtcTime())
    mode = fields.String(dump_default="UNKNOWN")


AT = datetime(2026, 1, 5, 1, 2, 3, 456000, UTC)
PLAIN = {
    "n": 3,
    "share": 0.1,
    "flag": True,
    "colour": "grün",
    "at": AT,
    "single": 0.1,
    "inner": {"name": "a", "share": 1e-310},
    "requested": None,
    "parts": SimpleNamespace(all=[SimpleNamespace(name="b", share=None), {"name": "c"}, None]),
    "matrix": [[1, 2], [3, 4]],
    "numbers": [0.1, None, 1.7976931348623157e308],
    "times": [AT, AT.replace(microsecond=0), AT.replace(microsecond=1)],
}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"n": Decimal(3), "share": Decimal("0.1"), "flag": 1},  # as a driver may return them
        {"n": True, "share": 1, "colour": Colour.RED},
        {"n": None, "share": None, "flag": None, "colour": None, "at": None, "single": None},
        {"single": 1e20, "n": 10**30},  # more than 64 bits
        {"single": math.inf},  # a text, as protobuf has it
        {"inner": None, "numbers": None, "mode": "fast"},
        {"requested": SimpleNamespace(name="d", share=2.0)},
        {"matrix": [[Decimal(1)], [], [2]], "numbers": [1, Decimal("0.5"), 0.25]},
        {"matrix": (), "times": ()},
    ],
)
@pytest.mark.parametrize("whole", [dict, lambda members: SimpleNamespace(**members)])
def test_a_value_is_converted_as_its_field_does(changed, whole):
    write, members = Writer(OuterSchema), PLAIN | changed

    for _ in range(2):  # the second time with the plan of the first
        assert same(write.schema, whole(members), write(whole(members)))


def test_an_absent_member_is_omitted():
    assert json.loads(Writer(OuterSchema)({"n": 1})) == {"n": 1, "mode": "UNKNOWN"}


def test_doubles_keep_all_their_digits():
    numbers = [0.1 + 0.2, 1e16, 1 / 3, 5e-324, 1.7976931348623157e308, 123456789.12345678]

    assert json.loads(Writer(OuterSchema)({"numbers": numbers}))["numbers"] == numbers


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_json_lacks_is_null(number):
    """No metric is such a number; a client could not even parse the word for it."""
    assert json.loads(Writer(OuterSchema)({"share": number}))["share"] is None


def test_a_schema_with_hooks_is_rejected():
    class Hooked(Schema):
        @post_dump
        def change(self, data, **_):
            return data

    with pytest.raises(TypeError, match="hooks"):
        Writer(Hooked)


def test_large_integers_are_written_as_they_are():
    assert str(10**30).encode() in Writer(OuterSchema)({"n": 10**30})
