"""Messages of Seldon's servers about an inference, in one of the protocols that they speak.

| protocol | where the array is |
|---|---|
| Seldon's | `data`: one of `ndarray`, `tensor` and `tftensor` |
| tensorflow, by rows | `predictions`, in a request `instances` |
| tensorflow, by columns | `outputs`, in a request `inputs` |
| Open Inference Protocol | the first tensor of `outputs`, in a request of `inputs` |

A message is recognized by its members. All other members are ignored.
"""

import base64
from dataclasses import replace
from typing import Any

import msgspec

from app.api.http.proto_json import part_of_message
from app.api.seldon_core.arrays import flattened, of_nested, of_shaped
from app.api.seldon_core.cloudevents import IN_BINARY
from app.api.seldon_core.readings import Answer
from app.api.seldon_core.tensor_proto import answer_of_tensor
from app.errors import InvalidInput

FAILURES = ("FAILURE", 1)
# Of a truth, members of a request are as good as those of a response.
BY_ROWS, BY_COLUMNS = ("predictions", "instances"), ("outputs", "inputs")
# Payloads of Seldon's protocol that contain no array.
WITHOUT_ARRAY = ("strData", "jsonData", "binData", "customData")
_MEMBERS = "data, predictions or outputs"


class Tensor(msgspec.Struct):
    """Values in row order."""

    values: list[float] = []
    shape: list[int] = []


class Payload(msgspec.Struct):
    """One of three forms of an array."""

    ndarray: list[Any] | None = None
    tensor: Any = None
    tftensor: Any = None


class Meta(msgspec.Struct):
    """Metadata of a message."""

    metrics: Any = None


class Status(msgspec.Struct):
    """How a request ended; SUCCESS is 0."""

    status: str | int | None = None


class OutputTensor(msgspec.Struct):
    """A tensor of the Open Inference Protocol."""

    shape: list[int]
    data: list[Any] | None = None
    name: str = ""
    datatype: str = ""
    parameters: dict[str, Any] | None = None


class Message(msgspec.Struct, rename={name.lower(): name for name in WITHOUT_ARRAY}):
    """A request, a response or a truth, in any protocol."""

    data: Payload | None = None
    predictions: Any = None
    instances: Any = None
    outputs: Any = None
    inputs: Any = None
    strdata: Any = None
    jsondata: Any = None
    bindata: Any = None
    customdata: Any = None
    meta: Meta | None = None
    status: Status | None = None
    error: Any = None

    @property
    def failed(self) -> bool:
        """Whether it reports an error, and contains no answer."""
        return bool(self.error) or (self.status is not None and self.status.status in FAILURES)

    @property
    def other_form(self) -> str | None:
        """The member with a payload that contains no array, if it has one."""
        return next((n for n in WITHOUT_ARRAY if getattr(self, n.lower()) is not None), None)


class SeldonFeedback(msgspec.Struct):
    """An answer and its truth."""

    truth: Message
    response: Message | None = None
    request: Message | None = None


def answer_of(name: str, message: Message) -> Answer | None:
    """The array of a message; `name` identifies it in errors. None if its form contains none.

    Raises:
        InvalidInput: it has none, or none of rows.
    """
    if message.data is not None:
        return _of_seldon(f"{name}.data", message.data)
    for member in (*BY_ROWS, *BY_COLUMNS):
        if (value := getattr(message, member)) is not None:
            return _by_rows(_of_array(f"{name}.{member}", value))
    if message.other_form:
        return None
    raise InvalidInput(f"{name} must have {_MEMBERS}")


def check_form(name: str, message: Message) -> None:
    """Reject a message without a payload; an array in it may have any shape.

    Raises:
        InvalidInput: it has none.
    """
    members = (message.data, *(getattr(message, name) for name in (*BY_ROWS, *BY_COLUMNS)))
    if not message.other_form and all(member is None for member in members):
        raise InvalidInput(f"{name} must have {_MEMBERS}")


def array_of(name: str, message: Message) -> Answer:
    """As `answer_of`, of a message that must have an array.

    Raises:
        InvalidInput: it has none, or none of rows.
    """
    answer = answer_of(name, message)
    if answer is None:
        raise InvalidInput(f"{name} must have {_MEMBERS}: {message.other_form} can't be compared")
    return answer


def _of_seldon(name: str, payload: Payload) -> Answer:
    if payload.ndarray is not None:
        return of_nested(name.partition(".")[0], payload.ndarray)
    if payload.tensor is not None:
        tensor = part_of_message(f"{name}.tensor", payload.tensor, Tensor)
        return of_shaped(name.partition(".")[0], tensor.values, tensor.shape)
    if payload.tftensor is not None:
        return answer_of_tensor(f"{name}.tftensor", payload.tftensor)
    raise InvalidInput(f"{name} must have ndarray, tensor or tftensor")


# --- tensorflow and the Open Inference Protocol -------------------------------------------


def _by_rows(answer: Answer) -> Answer:
    """An answer in a protocol whose first dimension is that of rows: integers and texts are labels.

    Fractions are no labels, so they are one row's.
    """
    labels = answer.flat and not any(isinstance(value, float) for (value,) in answer.rows)
    return replace(answer, labels=labels)


def _of_array(name: str, value: Any) -> Answer:
    """An array of either protocol."""
    if isinstance(value, list) and value and _is_tensor(value[0]):
        return _of_tensor(f"{name}[0]", value[0])
    array = _named(name, value)
    if isinstance(array, list) and any(isinstance(row, dict) for row in array):
        array = [_named(f"{name}[{index}]", row) for index, row in enumerate(array)]
    plain = _without_base64(array)
    return of_nested(name, plain if isinstance(plain, list) else [plain])


def _is_tensor(value: Any) -> bool:
    return isinstance(value, dict) and not value.keys().isdisjoint(("datatype", "shape", "data"))


def _of_tensor(name: str, value: Any) -> Answer:
    tensor = part_of_message(name, value, OutputTensor)
    if tensor.data is None:
        raise InvalidInput(f"{name} must have data: {IN_BINARY}")
    values = flattened(f"{name}.data", tensor.data)
    if (tensor.parameters or {}).get("content_type") == "base64":
        values = [_decoded(value) if isinstance(value, str) else value for value in values]
    return of_shaped(name, values, tensor.shape)


def _named(name: str, value: Any) -> Any:
    """Of several named outputs, the one whose name is first in alphabetical order.

    TensorFlow Serving writes them in any order.
    """
    if not isinstance(value, dict) or _is_base64(value):
        return value
    if not value:
        raise InvalidInput(f"{name} must have an output")
    return value[min(value)]


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _without_base64(value: Any) -> Any:
    """An array in which bytes are texts."""
    if isinstance(value, list):
        return [_without_base64(item) for item in value]
    return _decoded(value["b64"]) if _is_base64(value) else value


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:  # UnicodeDecodeError is one too
        raise InvalidInput(f"{text[:40]!r} is not base64 of a text in UTF-8") from None
