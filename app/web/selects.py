"""Lists to choose from, as all pages have them."""

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash.development.base_component import Component

COMBOBOX: dict[str, Any] = {"width": "max-content", "position": "bottom-start"}
# The options of a long list exist only while it is open: six hundred time zones kept the browser
# busy for longer than all that the page shows. Such a list opens at the origin before it is placed:
# if that is the screen's, the page need not scroll to it.
OPENED = COMBOBOX | {"keepMounted": False, "floatingStrategy": "fixed"}
LONG = 100
# The property with the value that a list has when it appears.
SHOWN = "data-shown"


def select(id_: str | dict[str, str], options: Sequence[Any], **more: Any) -> Component:
    """A list to choose from; one option is always chosen."""
    combobox: Any = OPENED if len(options) > LONG else COMBOBOX
    own = {"id": id_, "data": options, SHOWN: more.get("value"), "comboboxProps": combobox}
    return dmc.Select(size="xs", allowDeselect=False, **own, **more)
