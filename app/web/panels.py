"""Panels: a part of a page that asks one question, shows its answer, and gives it as CSV."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dash.development.base_component import Component
from markupsafe import Markup
from sqlalchemy import Connection

from app.query.question import Basis
from app.query.question import Question as Query
from app.query.subjects import Subject
from app.store.registry import Registry
from app.web.question import Question

Result = TypeVar("Result")
# Text that is drawn, or a component that can be used.
Node = Component | Markup
Nodes = Node | Sequence[Node] | None
Rows = Iterator[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class PanelContext:
    """Who looks at what: one snapshot of the database, a URL, and what it asks.

    `asked` is that of the URL with its model looked up, which may not be there, and of a moment
    that can be answered for.
    """

    conn: Connection
    registry: Registry
    question: Question
    query: Query[Subject]

    @property
    def workspace_id(self) -> int:
        """Whose page it is."""
        return self.query.workspace_id


@dataclass(frozen=True, slots=True)
class Panel(Generic[Result]):
    """`find` asks the questions, `show` draws the answer, `rows` are its CSV, the heads first.

    A panel that has nothing to say of this kind of model shows None, and isn't there. `rests_on`
    asks what is left of what the answer needs; None where retention changes nothing.
    """

    name: str
    title: str
    find: Callable[[PanelContext], Result]
    show: Callable[[Question, Result], Nodes]
    rows: Callable[[Question, Result], Rows] | None = None
    basis: Callable[[PanelContext], Basis] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Panels under one path."""

    path: str
    title: str
    panels: Sequence[Panel[Any]]
