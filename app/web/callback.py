"""Checks the requests of the page's script before Dash reads them.

Dash trusts its own script and crashes on any other input.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from app.errors import InvalidInput

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
# The only properties that are no text: the ticks of the timer, and what a pattern matched.
NO_TEXT = ("n_intervals", "id")


class Property(msgspec.Struct):
    """A property of a component; its value is None if the page does not have it yet."""

    id: str | dict[str, str]
    property: str
    value: Any = None

    def __post_init__(self) -> None:
        """Check the value, which Dash passes on unchanged."""
        is_text = self.value is None or isinstance(self.value, str)
        if self.property not in NO_TEXT and not is_text:
            raise ValueError("must be a text")  # msgspec makes it an error of its own


class Update(msgspec.Struct, rename="camel"):
    """The requested part of the page, and the properties that it depends on."""

    output: str
    outputs: dict[str, Any] | list[Any]
    inputs: list[Property | list[Property]]
    state: list[Property | list[Property]] = []
    changed_prop_ids: list[str] = []


def check_update(body: bytes, callbacks: Mapping[str, Any]) -> None:
    """Reject a body that is not an update of one of these callbacks; keys are their outputs.

    Raises:
        InvalidInput: it is not.
    """
    try:
        update = msgspec.json.decode(body, type=Update)
    except UNREADABLE:
        raise InvalidInput(NOT_OURS) from None
    callback = callbacks.get(update.output)
    if callback is None or not (
        _fit(update.inputs, callback["inputs"]) and _fit(update.state, callback["state"])
    ):
        raise InvalidInput(NOT_OURS)


NOT_OURS = "this is not what the page sends"


def _fit(arguments: list[Property | list[Property]], inputs: list[dict[str, Any]]) -> bool:
    """Whether there is one argument per input, and a list for each pattern."""
    return len(arguments) == len(inputs) and all(
        isinstance(argument, list) == ("ALL" in expected["id"])
        for argument, expected in zip(arguments, inputs, strict=True)
    )
