"""HTML as text: what is written into it is escaped, and the browser draws it in one go.

Dash makes a component of each tag and asks all of them at every change: a page with a confusion
matrix and a few tables kept the browser busy for seven seconds that way, an overview of two
hundred models for much longer. So whatever only shows something is markup, handed over in one
component (`drawn`, and assets/markup.js); components are for charts and for what is typed into.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from dash import html
from markupsafe import Markup, escape

Child = str | None
NAMES = {"className": "class", "tabIndex": "tabindex"}


class Tag:
    """Writes one kind of element, as Dash's class of that name would make it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, children: Child | Iterable[Child] = None, **attributes: Any) -> Markup:
        """The element as text; attributes that are None or empty are left out."""
        values = {NAMES.get(name, name): _value(value) for name, value in attributes.items()}
        text = Markup("").join(
            Markup(' {}="{}"').format(name, value) for name, value in values.items() if value
        )
        name = Markup(self.name)  # noqa: S704 - one of those below
        return Markup("<{0}{1}>{2}</{0}>").format(name, text, join(children))


def join(children: Child | Iterable[Child]) -> Markup:
    """Texts and elements one after the other; None is nothing."""
    parts = [children] if isinstance(children, str) or children is None else children
    return Markup("").join(escape(part) for part in parts if part is not None)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {part}" for name, part in value.items())
    return "" if value is None else str(value)


def to_component(markup: Markup, class_name: str = "") -> html.Div:
    """Markup as one component of Dash."""
    data: dict[str, Any] = {"data-markup": str(markup)}
    return html.Div(className=class_name, **data)


A, Caption, Code, Dd, Div, Dl, Dt = map(Tag, ("a", "caption", "code", "dd", "div", "dl", "dt"))
H1, H2, H3, P, Span, Strong, Table = map(Tag, ("h1", "h2", "h3", "p", "span", "strong", "table"))
Tbody, Td, Th, Thead, Tr = map(Tag, ("tbody", "td", "th", "thead", "tr"))
Svg, Path = map(Tag, ("svg", "path"))
