"""Panels: parts of a page with one query, one view and one CSV export."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
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
# Static markup, or an interactive component.
Node = Component | Markup
Nodes = Node | Sequence[Node] | None
Rows = Iterator[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class PanelContext:
    """The input of a panel: a snapshot of the database, the URL's question, and the settled query.

    `query` is the question of the URL with its moment settled and its model looked up; the model
    may not exist. `may_change` says whether the reader may change what is stored. `found` has what
    parts of a panel share: see `once`.
    """

    conn: Connection
    registry: Registry
    question: Question
    query: Query[Subject]
    may_change: bool = False
    found: dict[Any, Any] = field(default_factory=dict, compare=False)

    @property
    def workspace_id(self) -> int:
        """The workspace of the page."""
        return self.query.workspace_id


def once(find: Callable[[PanelContext], Result]) -> Callable[[PanelContext], Result]:
    """Query something only once for a panel and its basis."""

    def shared(context: PanelContext) -> Result:
        if find not in context.found:
            context.found[find] = find(context)
        result: Result = context.found[find]
        return result

    return shared


@dataclass(frozen=True, slots=True)
class Panel(Generic[Result]):
    """`find` runs the queries, `show` renders the result, `rows` returns its CSV, the header first.

    `show` returns None if the panel does not apply to this kind of model; it is then omitted.
    `basis` returns the basis of the result; it is None if retention does not affect the panel.
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
