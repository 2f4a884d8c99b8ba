"""What the page's script posts to have a part of the page: checked before Dash reads it.

Dash trusts its own script, and would crash on anything else.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from app.errors import InvalidInput

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
# The one property that is a number; a clock ticks.
TICKS = "n_intervals"


class Property(msgspec.Struct):
    """A property of a component, None where the page has none yet.

    Of components that are known by a name, and not by a pattern, it is a text.
    """

    id: str | dict[str, str]
    property: str
    value: Any = None

    def __post_init__(self) -> None:
        """Check the value, which Dash hands on as it is."""
        is_text = self.value is None or isinstance(self.value, str)
        if isinstance(self.id, str) and self.property != TICKS and not is_text:
            raise ValueError("must be a text")  # msgspec makes it an error of its own


class Update(msgspec.Struct, rename="camel"):
    """Which part is asked for, and the properties that it depends on."""

    output: str
    outputs: dict[str, Any] | list[Any]
    inputs: list[Property | list[Property]]
    state: list[Property | list[Property]] = []
    changed_prop_ids: list[str] = []


def check_update(body: bytes, callbacks: Mapping[str, Any]) -> None:
    """Refuse what isn't an update of one of these callbacks, which are known by their outputs.

    Raises:
        InvalidInput: it isn't.
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
    """Whether there is one for each; of a pattern that stands for several, a list."""
    return len(arguments) == len(inputs) and all(
        isinstance(argument, list) == ("ALL" in expected["id"])
        for argument, expected in zip(arguments, inputs, strict=True)
    )
