"""Lists to choose from, as all pages have them."""

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash.development.base_component import Component

# The options of a list exist only while it is open: those of all lists of a page, with six hundred
# time zones among them, kept the browser busy for longer than all that the page shows.
COMBOBOX: Any = {"keepMounted": False, "width": "max-content", "position": "bottom-start"}


def select(id_: str | dict[str, str], options: Sequence[Any], **more: Any) -> Component:
    """A list to choose from; one option is always chosen."""
    return dmc.Select(
        id=id_, data=options, size="xs", allowDeselect=False, comboboxProps=COMBOBOX, **more
    )
