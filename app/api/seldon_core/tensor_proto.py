"""TensorFlow's tensors in protobuf's JSON, as `make_tensor_proto` and its runtime write them.

The values are little-endian bytes, or in the member of their type. Fewer values than the shape has
end with one that is repeated; of no values, all are zero.
"""

import base64
import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from math import inf, nan, prod
from typing import Any, NamedTuple

import msgspec

from app.api.http.proto_json import part_of_message
from app.api.seldon_core.arrays import of_shaped
from app.api.seldon_core.readings import Answer, Scalar
from app.errors import InvalidInput
from app.ingest.strict_json import ROOM_BYTES

NUMBER_BYTES = 32  # of a number and its slot in a list
UNTYPED = (0, "", "DT_INVALID")
Values = Sequence[Scalar]
_TOO_MANY = "{} has too many values for its size; send it in parts"


class TensorDimension(msgspec.Struct):
    """A size."""

    size: int = 0


class TensorShape(msgspec.Struct, frozen=True):
    """Sizes."""

    dim: list[TensorDimension] = []


class TensorProto(msgspec.Struct, rename="camel"):
    """A tensor: one of the members has the values."""

    dtype: str | int = 0
    tensor_shape: TensorShape = TensorShape()
    tensor_content: str = ""
    half_val: list[int] = []
    float_val: list[float] = []
    double_val: list[float] = []
    int_val: list[int] = []
    string_val: list[str] = []
    int64_val: list[int] = []
    bool_val: list[bool] = []
    uint32_val: list[int] = []
    uint64_val: list[int] = []
    float8_val: str = ""


class _Type(NamedTuple):
    """How the values of a type are stored, as bytes and in the member for it."""

    member: str
    width: int = 0  # bytes of a value; 0 if values have no fixed width
    of_bytes: Callable[[bytes], Values] = lambda _: ()


def answer_of_tensor(name: str, tensor: Any) -> Answer:
    """The rows of a tensor; `name` identifies it in errors.

    Raises:
        InvalidInput: it is no tensor of numbers or texts, in rows.
    """
    proto = part_of_message(name, tensor, TensorProto)
    try:
        values = _values(name, proto)
        sizes = [dimension.size for dimension in proto.tensor_shape.dim]
        return of_shaped(name, _filled(name, values, sizes), sizes)
    except (struct.error, OverflowError, ValueError):  # UnicodeDecodeError is one too
        raise InvalidInput(f"{name} has values that are not of its dtype") from None


def _values(name: str, proto: TensorProto) -> Values:
    type_ = _type_of(name, proto)
    member = type_.member
    if proto.tensor_content:
        return _unpacked(name, type_, proto.tensor_content)
    sent = getattr(proto, member)
    other = [m for m in _MEMBERS if m != member and getattr(proto, m)]
    if other and proto.dtype not in UNTYPED:
        raise InvalidInput(f"{name} of dtype {proto.dtype} must have {_camel(member)}")
    return _FROM_MEMBER.get(member, _unchanged)(proto, sent) or _zeros(name, proto, member)


def _unpacked(name: str, type_: _Type, text: str) -> Values:
    if not type_.width:
        raise InvalidInput(f"{name} with tensorContent must have a dtype of numbers")
    content = _of_base64(text)
    if len(content) // type_.width > max(2 * len(text), ROOM_BYTES) // NUMBER_BYTES:
        raise InvalidInput(_TOO_MANY.format(name))
    return type_.of_bytes(content)


def _zeros(name: str, proto: TensorProto, member: str) -> Values:
    if proto.dtype in UNTYPED:
        raise InvalidInput(f"{name} must have floatVal, doubleVal, intVal or similar")
    zeros: dict[str, Scalar] = {"string_val": "", "bool_val": False}
    return [zeros.get(member, 0)]


def _filled(name: str, values: Values, sizes: Sequence[int]) -> Values:
    """As many values as the shape has: the last one is repeated."""
    if not all(size > 0 for size in sizes) or (missing := prod(sizes) - len(values)) <= 0:
        return values
    if missing > ROOM_BYTES // NUMBER_BYTES:
        raise InvalidInput(_TOO_MANY.format(name))
    return [*values, *repeat(values[-1], missing)]


def _type_of(name: str, proto: TensorProto) -> _Type:
    if proto.dtype in UNTYPED:
        return _Type(next((m for m in _MEMBERS if getattr(proto, m)), "float_val"))
    known = _TYPES.get(_NAMES.get(proto.dtype, "") if isinstance(proto.dtype, int) else proto.dtype)
    if known is None:
        raise InvalidInput(f"{name} must be of a dtype of real numbers or texts")
    return known


def _camel(name: str) -> str:
    return msgspec.structs.fields(TensorProto)[_FIELDS.index(name)].encode_name


# --- members ------------------------------------------------------------------------------


def _unchanged(_: TensorProto, values: Values) -> Values:
    return values


def _of_halves(proto: TensorProto, bits: Sequence[int]) -> Values:
    """Values of 16 bits, each as an integer that has these bits."""
    type_ = _TYPES["DT_HALF"] if proto.dtype in UNTYPED else _type_of("", proto)
    return type_.of_bytes(struct.pack(f"<{len(bits)}H", *bits))


def _of_floats(_: TensorProto, values: Sequence[float]) -> Values:
    """Values of 32 bits, which JSON has as shorter decimals."""
    return struct.unpack(f"<{len(values)}f", struct.pack(f"<{len(values)}f", *values))


def _of_texts(_: TensorProto, texts: Sequence[str]) -> Values:
    return [_of_base64(text).decode() for text in texts]


def _of_float8(proto: TensorProto, text: str) -> Values:
    return _type_of("", proto).of_bytes(_of_base64(text))


def _of_base64(text: str) -> bytes:
    """Bytes as protobuf's JSON has them: in either alphabet, with or without padding."""
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)


_FROM_MEMBER: dict[str, Callable[[TensorProto, Any], Values]] = {
    "half_val": _of_halves,
    "float_val": _of_floats,
    "string_val": _of_texts,
    "float8_val": _of_float8,
}


# --- bytes --------------------------------------------------------------------------------


def _packed(member: str, code: str) -> _Type:
    """Numbers of `struct`'s type."""
    width = struct.calcsize(f"<{code}")
    return _Type(member, width, lambda b: struct.unpack(f"<{len(b) // width}{code}", b))


def _bfloats(content: bytes) -> Values:
    """The upper halves of floats of 32 bits."""
    halves = struct.unpack(f"<{len(content) // 2}H", content)
    return struct.unpack(
        f"<{len(halves)}f", struct.pack(f"<{len(halves)}I", *(h << 16 for h in halves))
    )


def _small_floats(exponent: int, mantissa: int, bias: int, special: Mapping[int, float]) -> _Type:
    """Floats of up to eight bits: a sign, an exponent and a mantissa, of so many bits.

    `special` has the values of the bytes for which this is not so.
    """

    def value(byte: int) -> float:
        power, part = (byte >> mantissa) % 2**exponent, byte % 2**mantissa
        sign = -1 if byte >> (exponent + mantissa) & 1 else 1
        significand = part / 2**mantissa + (power > 0)
        return special.get(byte, sign * significand * 2.0 ** (max(power, 1) - bias))

    table = [value(byte) for byte in range(256)]
    return _Type("float8_val", 1, lambda content: [table[byte] for byte in content])


_E5M2 = {0x7C: inf, 0xFC: -inf} | dict.fromkeys((0x7D, 0x7E, 0x7F, 0xFD, 0xFE, 0xFF), nan)
_TYPES = {
    "DT_FLOAT": _packed("float_val", "f"),
    "DT_DOUBLE": _packed("double_val", "d"),
    "DT_INT32": _packed("int_val", "i"),
    "DT_UINT8": _packed("int_val", "B"),
    "DT_INT16": _packed("int_val", "h"),
    "DT_INT8": _packed("int_val", "b"),
    "DT_STRING": _Type("string_val"),
    "DT_INT64": _packed("int64_val", "q"),
    "DT_BOOL": _packed("bool_val", "?"),
    "DT_QINT8": _packed("int_val", "b"),
    "DT_QUINT8": _packed("int_val", "B"),
    "DT_QINT32": _packed("int_val", "i"),
    "DT_BFLOAT16": _Type("half_val", 2, _bfloats),
    "DT_QINT16": _packed("int_val", "h"),
    "DT_QUINT16": _packed("int_val", "H"),
    "DT_UINT16": _packed("int_val", "H"),
    "DT_HALF": _packed("half_val", "e"),
    "DT_UINT32": _packed("uint32_val", "I"),
    "DT_UINT64": _packed("uint64_val", "Q"),
    "DT_FLOAT8_E5M2": _small_floats(5, 2, 15, _E5M2),
    "DT_FLOAT8_E4M3FN": _small_floats(4, 3, 7, {0x7F: nan, 0xFF: nan}),
    "DT_FLOAT8_E4M3FNUZ": _small_floats(4, 3, 8, {0x80: nan}),
    "DT_FLOAT8_E4M3B11FNUZ": _small_floats(4, 3, 11, {0x80: nan}),
    "DT_FLOAT8_E5M2FNUZ": _small_floats(5, 2, 16, {0x80: nan}),
    "DT_INT4": _packed("int_val", "b"),
    "DT_UINT4": _packed("int_val", "B"),
    "DT_INT2": _packed("int_val", "b"),
    "DT_UINT2": _packed("int_val", "B"),
    "DT_FLOAT4_E2M1FN": _small_floats(2, 1, 1, {}),
}
# Types by their numbers. Complex numbers (8 and 18) and handles (20 and 21) are no answers.
_NUMBERS = [*range(1, 8), 9, 10, *range(11, 18), 19, *range(22, 34)]
_NAMES = dict(zip(_NUMBERS, _TYPES, strict=True))
_FIELDS = TensorProto.__struct_fields__
_MEMBERS = [name for name in _FIELDS if name.endswith("_val")]
