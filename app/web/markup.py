"""HTML as text: its content is escaped, and the browser renders it at once.

Dash creates a component for each tag and checks all of them on every change: a page with a
confusion matrix and a few tables kept the browser busy for seven seconds that way, an overview of
two hundred models for much longer. So static parts of a page are markup, passed in a single
component (`to_component`, and assets/markup.js); other components are for charts and inputs.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from dash import html
from markupsafe import Markup, escape

from app.subpath import at_root

Child = str | None
NAMES = {"className": "class", "tabIndex": "tabindex"}


class Tag:
    """Writes one kind of element, like Dash's class of that name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, children: Child | Iterable[Child] = None, **attributes: Any) -> Markup:
        """The element as text; attributes that are None or empty are omitted."""
        text = "".join(
            f' {NAMES.get(name, name)}="{escape(value)}"'
            for name, given in attributes.items()
            if (value := _value(name, given))
        )
        # Markup.format would escape as much, in three times the time
        return Markup(f"<{self.name}{text}>{join(children)}</{self.name}>")  # noqa: S704 - escaped


def join(children: Child | Iterable[Child]) -> Markup:
    """Concatenated texts and elements; None is skipped."""
    parts = [children] if isinstance(children, str) or children is None else children
    return Markup("".join(escape(part) for part in parts if part is not None))  # noqa: S704


def _value(name: str, value: Any) -> str:
    if name in ("href", "action") and value:
        return at_root(str(value))
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {part}" for name, part in value.items())
    return "" if value is None else str(value)


def to_component(markup: Markup, class_name: str = "") -> html.Div:
    """Markup as a single Dash component."""
    data: dict[str, Any] = {"data-markup": str(markup)}
    return html.Div(className=class_name, **data)


A, Caption, Code, Dd, Div, Dl, Dt = map(Tag, ("a", "caption", "code", "dd", "div", "dl", "dt"))
H1, H2, H3, P, Span, Strong, Table = map(Tag, ("h1", "h2", "h3", "p", "span", "strong", "table"))
Tbody, Td, Th, Thead, Tr = map(Tag, ("tbody", "td", "th", "thead", "tr"))
Svg, Path = map(Tag, ("svg", "path"))
Button, Form, Input, Label = map(Tag, ("button", "form", "input", "label"))
