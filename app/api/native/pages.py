"""Pagination of lists: the total, and a cursor to the next page."""

from datetime import datetime
from typing import Any

import msgspec
from marshmallow import Schema, ValidationError, fields, validate

from app.ingest.fields import text_problem
from app.query.cursors import packed, unpacked
from app.query.pages import PagePosition
from app.query.window import Window
from app.store.registry import ModelName

MAX_PAGE_SIZE = 1000


class Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """Where the next page begins, and the window of all pages."""

    start: datetime
    end: datetime
    n: int
    namespace: str
    pipeline: str
    name: str

    @property
    def position(self) -> PagePosition:
        """The model after which the next page begins."""
        return PagePosition(ModelName(self.namespace, self.pipeline, self.name), self.n)


class CursorField(fields.Field[Cursor]):
    """A cursor in a query: the `nextCursor` of a response."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Cursor:
        try:
            cursor = unpacked(value, Cursor)
            Window(cursor.start, cursor.end)
        except (ValueError, TypeError):
            raise ValidationError("must be a nextCursor") from None
        if text_problem(cursor.namespace, cursor.pipeline, cursor.name) or cursor.n < 0:
            raise ValidationError("must be a nextCursor")
        return cursor


class PaginationArgs(Schema):
    """Which page of a list."""

    size = fields.Integer(
        data_key="limit", load_default=MAX_PAGE_SIZE, validate=validate.Range(1, MAX_PAGE_SIZE)
    )
    cursor = CursorField(
        metadata={"description": "nextCursor of the previous page, whose window is kept"}
    )


class PaginationSchema(Schema):
    """A page of a list."""

    total = fields.Integer(metadata={"description": "Members of all pages"})
    following = fields.String(
        data_key="nextCursor", allow_none=True, metadata={"description": "null on the last page"}
    )


def cursor_for(position: PagePosition | None, window: Window) -> str | None:
    """The cursor to the page after a position."""
    if position is None:
        return None
    return packed(Cursor(window.start, window.end, position.n, *position.name))
