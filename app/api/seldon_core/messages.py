"""Messages of Seldon's servers about an inference: arrays, in one of several forms.

A SeldonMessage contains `data`, which is one of `ndarray`, `tensor` and `tftensor`; the Open
Inference Protocol has `outputs`. All other members are ignored.
"""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import msgspec

from app.api.seldon_core.readings import Answer, Scalar
from app.errors import InvalidInput
from app.ingest.fields import number_text

FAILURES = ("FAILURE", 1)
DEPTH = 2  # rows of values; a classifier's answer is not deeper


class Tensor(msgspec.Struct):
    """Values in row order."""

    values: list[float]
    shape: list[int] = []


class TensorDimension(msgspec.Struct):
    """A size; proto3 JSON writes 64-bit numbers as text."""

    size: int | str = 0


class TensorShape(msgspec.Struct, frozen=True):
    """Sizes."""

    dim: list[TensorDimension] = []


class TensorProto(msgspec.Struct, rename="camel"):
    """TensorFlow's: the member with the values depends on their type."""

    tensor_shape: TensorShape = TensorShape()
    float_val: list[float] | None = None
    double_val: list[float] | None = None
    int_val: list[int] | None = None
    int64_val: list[int | str] | None = msgspec.field(name="int64Val", default=None)
    bool_val: list[bool] | None = None


class Payload(msgspec.Struct):
    """One of three forms of an array."""

    ndarray: list[Any] | None = None
    tensor: Tensor | None = None
    tftensor: TensorProto | None = None


class Meta(msgspec.Struct):
    """Metadata of a message."""

    metrics: Any = None


class SeldonMessage(msgspec.Struct):
    """An array and its metadata."""

    data: Payload
    meta: Meta | None = None


class SeldonFeedback(msgspec.Struct):
    """An answer and its truth."""

    truth: SeldonMessage
    response: SeldonMessage | None = None
    request: SeldonMessage | None = None


class OutputTensor(msgspec.Struct):
    """One output of the Open Inference Protocol."""

    shape: list[int]
    data: list[Any]
    name: str = ""
    datatype: str = ""


class Status(msgspec.Struct):
    """How a request ended; SUCCESS is 0."""

    status: str | int | None = None


class InferenceResponse(msgspec.Struct):
    """A response in either protocol."""

    data: Payload | None = None
    outputs: list[OutputTensor] | None = None
    status: Status | None = None
    error: Any = None

    @property
    def failed(self) -> bool:
        """Whether it reports an error, and contains no answer."""
        return bool(self.error) or (self.status is not None and self.status.status in FAILURES)


def answer_of(name: str, payload: Payload) -> Answer:
    """The array of a message; `name` identifies it in errors.

    Raises:
        InvalidInput: it has none, or none of rows.
    """
    if payload.ndarray is not None:
        return as_answer(name, payload.ndarray)
    if payload.tensor is not None:
        return _shaped(name, payload.tensor.values, payload.tensor.shape)
    if payload.tftensor is not None:
        return _of_tensorflow(name, payload.tftensor)
    raise InvalidInput(f"{name}.data must have ndarray, tensor or tftensor")


def answer_of_response(response: InferenceResponse) -> Answer:
    """The model's answer: in the Open Inference Protocol, the first output.

    Raises:
        InvalidInput: it contains none.
    """
    if response.data is not None:
        return answer_of("response", response.data)
    if response.outputs:
        first = response.outputs[0]
        flat = [value for value, _ in _leaves("outputs[0].data", first.data, 0, 8)]
        return _shaped("outputs[0]", flat, first.shape)
    raise InvalidInput("a response must have data or outputs")


def as_answer(name: str, array: list[Any]) -> Answer:
    """A nested list as rows of scalars.

    Raises:
        InvalidInput: it is empty, ragged, nested deeper than rows, or contains something else.
    """
    leaves = list(_leaves(name, array, 1, DEPTH))
    depths = {depth for _, depth in leaves}
    if not leaves or len(depths) > 1 or (depths == {1} and len(leaves) < len(array)):
        raise InvalidInput(f"{name} must be a list of values or of rows, and not empty")
    values = _same_type([value for value, _ in leaves])
    if depths == {1}:
        return Answer([[value] for value in values], flat=True)
    lengths = {len(row) for row in array}
    if len(lengths) > 1:
        raise InvalidInput(f"rows of {name} must have the same length")
    return Answer(_in_rows(values, lengths.pop()), flat=False)


def _leaves(name: str, array: list[Any], depth: int, limit: int) -> Iterator[tuple[Scalar, int]]:
    """The scalars of a nested list, and the depth of each."""
    for value in array:
        if isinstance(value, list) and depth < limit:
            yield from _leaves(name, value, depth + 1, limit)
        elif value is None or isinstance(value, bool | int | float | str):
            yield value, depth
        else:
            kind = "a deeper list" if isinstance(value, list) else "an object"
            raise InvalidInput(f"{name} must contain numbers or texts in rows, not {kind}")


def _same_type(values: list[Scalar]) -> list[Scalar]:
    """Values of one type, as numpy converts an array; next to texts, numbers are labels.

    A null stays null: it makes only its own row invalid.
    """
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) <= 1:
        return values
    make = number_text if str in kinds else float if float in kinds else int
    try:
        return [v if v is None or isinstance(v, str) else make(v) for v in values]
    except (OverflowError, ValueError):
        raise InvalidInput("a number is out of range") from None


def _shaped(name: str, values: Sequence[Scalar], shape: Sequence[int]) -> Answer:
    """Values in row order, as rows of this shape; without a shape, as a vector."""
    sizes = shape or [len(values)]
    if not 1 <= len(sizes) <= DEPTH or any(s < 1 for s in sizes) or prod(sizes) != len(values):
        raise InvalidInput(
            f"{name} must have a shape of one or two sizes that fits its {len(values)} values"
        )
    converted = _same_type(list(values))
    return Answer(_in_rows(converted, 1 if len(sizes) == 1 else sizes[1]), flat=len(sizes) == 1)


def _in_rows(values: Sequence[Scalar], length: int) -> list[Sequence[Scalar]]:
    return [values[at : at + length] for at in range(0, len(values), length)]


def _of_tensorflow(name: str, tensor: TensorProto) -> Answer:
    members = (tensor.float_val, tensor.double_val, tensor.int_val, tensor.int64_val)
    values = next((list(m) for m in (*members, tensor.bool_val) if m), None)
    if values is None:
        raise InvalidInput(f"{name}.data.tftensor must have floatVal, doubleVal, intVal or similar")
    try:
        sizes = [int(dimension.size) for dimension in tensor.tensor_shape.dim]
        return _shaped(name, [int(v) if isinstance(v, str) else v for v in values], sizes)
    except ValueError:
        raise InvalidInput(f"{name}.data.tftensor has an invalid number") from None
