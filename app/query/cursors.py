"""Cursors: where the next page of a list begins, as text that callers need not understand."""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Self, TypeVar

import msgspec

from app.query.requests import RequestPage, RequestPosition

UNREADABLE = (msgspec.MsgspecError, binascii.Error, ValueError)
Packed = TypeVar("Packed", bound=msgspec.Struct)
_Time = Annotated[datetime, msgspec.Meta(tz=True)]
_Number = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


def packed(cursor: msgspec.Struct) -> str:
    """A cursor as text."""
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode()


def unpacked(text: Any, kind: type[Packed]) -> Packed:
    """The cursor of a text.

    Raises:
        ValueError: it is no such text.
    """
    try:
        content = base64.b64decode(str(text).encode(), b"-_", validate=True)
        return msgspec.json.decode(content, type=kind)
    except UNREADABLE:
        raise ValueError("must be a nextCursor") from None


class RequestCursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """Where the next page of requests begins, and the moment of all pages."""

    as_of: _Time
    time: _Time
    received_at: _Time | None
    nth: _Number | None

    @property
    def position(self) -> RequestPosition:
        """The position after which the next page begins."""
        return RequestPosition(self.time, self.received_at, self.nth)

    @classmethod
    def after(cls, page: RequestPage) -> Self | None:
        """The cursor to the page after one; None if it is the last."""
        position = page.following
        if position is None:
            return None
        moment = page.moment.effective_as_of
        return cls(moment, position.time, position.received_at, position.nth)
