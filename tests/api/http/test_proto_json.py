"""JSON of protobuf messages is read as protobuf's own parser reads it."""

import json
import math

import msgspec
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from hypothesis import example, given
from hypothesis import strategies as st

from app.api.http.proto_json import of_proto_json
from app.ingest.strict_json import decode_untyped
from app.ingest.validation_errors import UNREADABLE
from tests.effort import examples

INT32_MIN, INT32_MAX, UINT64_MAX = -(2**31), 2**31 - 1, 2**64 - 1


class Inner(msgspec.Struct, rename="camel"):
    """A message in a message."""

    a_value: float = 0.0


class Outer(msgspec.Struct, rename="camel"):
    """Every kind of member that a message has here."""

    a_name: str = ""
    small_number: int = 0
    large_number: int = 0
    inner_part: Inner | None = None
    all_values: list[float] = []
    all_parts: list[Inner] = []


def _reference():
    """The same messages, defined for protobuf."""
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto3")
    kind = descriptor_pb2.FieldDescriptorProto
    members = {
        "Inner": [("a_value", kind.TYPE_DOUBLE, 1)],
        "Outer": [
            ("a_name", kind.TYPE_STRING, 1),
            ("small_number", kind.TYPE_INT32, 1),
            ("large_number", kind.TYPE_UINT64, 1),
            ("inner_part", kind.TYPE_MESSAGE, 1),
            ("all_values", kind.TYPE_DOUBLE, 3),
            ("all_parts", kind.TYPE_MESSAGE, 3),
        ],
    }
    for name, fields in members.items():
        message = file.message_type.add(name=name)
        for number, (field, type_, label) in enumerate(fields, 1):
            inner = {"type_name": ".t.Inner"} if type_ == kind.TYPE_MESSAGE else {}
            message.field.add(name=field, number=number, type=type_, label=label, **inner)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Outer"))


REFERENCE = _reference()

numbers = st.one_of(
    st.integers(-5, 5),
    st.sampled_from([INT32_MAX, INT32_MIN, UINT64_MAX, 1.0, 1.5, -2.5e3, 1e300, None, [], {}]),
    st.sampled_from(["1", "-1", "0", "1.5", "1e2", "-0.5E-1", "18446744073709551615"]),
    st.sampled_from(["NaN", "Infinity", "-Infinity", "", "x", "0x1"]),
)


def members(camel, snake, values):
    """A member under one of its names, or absent."""
    return st.one_of(
        st.just({}),
        values.map(lambda value: {camel: value}),
        values.map(lambda value: {snake: value}),
    )


def merged(*parts):
    return st.tuples(*parts).map(lambda made: {k: v for part in made for k, v in part.items()})


inner = st.one_of(members("aValue", "a_value", numbers), st.sampled_from([None, "x", 1, []]))
outer = merged(
    members("aName", "a_name", st.sampled_from(["", "n", "1", None, 1])),
    members("smallNumber", "small_number", numbers),
    members("largeNumber", "large_number", numbers),
    members("innerPart", "inner_part", inner),
    members("allValues", "all_values", st.lists(numbers, max_size=3)),
    members("allParts", "all_parts", st.lists(inner, max_size=2)),
    st.sampled_from([{}, {"unknown": {"x": 1}}]),
)


def theirs(body):
    """What protobuf reads of a body; None if it is no message."""
    try:
        message = json_format.ParseDict(body, REFERENCE(), ignore_unknown_fields=True)
    except json_format.ParseError:
        return None
    part = message.inner_part.a_value if message.HasField("inner_part") else None
    return (
        message.a_name,
        message.small_number,
        message.large_number,
        part,
        list(message.all_values),
        [each.a_value for each in message.all_parts],
    )


def ours(body):
    try:
        message = of_proto_json(decode_untyped(json.dumps(body).encode()), Outer)
    except UNREADABLE:
        return None
    part = message.inner_part
    return (
        message.a_name,
        message.small_number,
        message.large_number,
        part and part.a_value,
        message.all_values,
        [each.a_value for each in message.all_parts],
    )


def sizes_of(body):
    """The numbers that are integers for protobuf, which has limits of its own for them."""
    read = ours(body)
    return (0, 0) if read is None else read[1:3]


# Also as a text, 100 and 1e2 are one number; protobuf for Python takes "1e2" as a double only.
ONLY_OURS = {"1e2", "-0.5E-1"}


def spelled_otherwise(body):
    names = ("smallNumber", "small_number", "largeNumber", "large_number")
    return any(isinstance(body.get(name), str) and body[name] in ONLY_OURS for name in names)


def has_a_part_that_is_no_object(body):
    """Protobuf for Python reads a text or a list as an object, of its characters or elements."""
    parts = [body.get("innerPart"), body.get("inner_part")]
    parts += [*body.get("allParts", []), *body.get("all_parts", [])]
    return any(isinstance(part, str | list) for part in parts)


@examples(150, thorough=2000)
@given(outer)
@example({"innerPart": "x"})
@example({"all_parts": [[]]})
@example({"allValues": ["NaN", "-Infinity", 1, "2.5"], "inner_part": {}, "largeNumber": "7"})
def test_a_message_is_what_protobuf_reads(body):
    if has_a_part_that_is_no_object(body):
        assert ours(body) is None
        return
    small, large = sizes_of(body)
    if spelled_otherwise(body) or not (
        INT32_MIN <= small <= INT32_MAX and 0 <= large <= UINT64_MAX
    ):
        return  # the limits of a number are those of its own type
    assert repr(ours(body)) == repr(theirs(body))


@pytest.mark.parametrize(("text", "value"), [("1e2", 100), ("5.0", 5), ("1E+3", 1000)])
def test_an_integer_in_any_notation(text, value):
    assert ours({"smallNumber": text}) == ours({"smallNumber": value}) != None  # noqa: E711 - chained


@pytest.mark.parametrize("value", ["1e-1", "1.5", "1e9999999", "9" * 500, "٣", True])
def test_what_is_no_integer(value):
    assert ours({"smallNumber": value}) is None


@pytest.mark.parametrize("value", [" 1", "1 ", "01", "1.", ".5", "1_0", "nan", "inf", True])
def test_what_is_no_number_although_python_reads_it(value):
    assert ours({"allValues": [value]}) is None
    assert ours({"smallNumber": value}) is None


def test_a_member_under_both_of_its_names():
    """One of the values would be lost; protobuf for Go rejects it too."""
    assert ours({"smallNumber": 1, "small_number": 1}) is None


def test_numbers_without_another_form():
    (*_, values, _) = ours({"allValues": ["NaN", "Infinity", "-Infinity"]})

    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf]
