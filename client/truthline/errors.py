"""All errors of this package.

TruthlineError
├── Unreachable             no response: the server is down, or timed out
├── NotTruthline            the response is not from a Truthline server: check the URL
├── Unloggable              a row that can't be serialized; it was not sent
└── Refused                 the server rejected the request and stated the reason
    ├── Unauthenticated     401: missing or invalid key
    ├── Forbidden           403: the key lacks the required role
    ├── NotFound            404: unknown model, deployment or path
    ├── TooLarge            413: larger than the server's limits
    ├── InvalidRequest      400, 409, 422: malformed, conflicting, or without an answer
    │   └── InvalidRows     some rows of a batch are invalid; names them
    └── Unavailable         408, 429, 5xx: temporary; retry later
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace


class TruthlineError(Exception):
    """Base of all errors of this package."""

    retry_after: float | None = None
    """Seconds to wait before the next attempt, if the server sent `Retry-After`."""


class Unreachable(TruthlineError):
    """No response. `delivered` states whether the request may have been received."""

    def __init__(self, message: str, *, delivered: bool) -> None:
        super().__init__(message)
        self.delivered = delivered


class NotTruthline(TruthlineError):
    """The response is not from a Truthline server."""


class Unloggable(TruthlineError, ValueError):
    """A row that can't be serialized."""


class Refused(TruthlineError):
    """The server rejected the request. `kind` names the error; its log has the `request_id`."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        kind: str = "",
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.request_id = request_id
        self.retry_after = retry_after


class Unauthenticated(Refused):
    """Missing or invalid key."""


class Forbidden(Refused):
    """The key lacks the required role."""


class NotFound(Refused):
    """Unknown model, deployment or path."""


class TooLarge(Refused):
    """The request exceeds the limits of the server."""


class InvalidRequest(Refused):
    """The request is malformed or conflicting, or has no answer."""


class Unavailable(Refused):
    """The server is temporarily unable to answer; retry later."""


@dataclass(frozen=True)
class RowProblem:
    """Why a row is invalid. `field` is empty if the problem concerns the whole row."""

    index: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"row {self.index}: {self.field} {self.reason}".replace(":  ", ": ")


class InvalidRows(InvalidRequest):
    """Some rows of a batch are invalid.

    `problems` names up to a hundred of them by their index in what was sent. Nothing of their batch
    was stored. `stored` is the number of rows stored by earlier batches.
    """

    def __init__(
        self, refused: Refused, problems: Sequence[RowProblem], *, stored: int = 0
    ) -> None:
        before = f" ({stored} rows before them are stored)" if stored else ""
        super().__init__(
            f"{refused}{before}; {problems[0]}",
            status=refused.status,
            kind=refused.kind,
            request_id=refused.request_id,
        )
        self._refused = refused
        self.problems = tuple(problems)
        self.stored = stored

    def of_table(self, *, offset: int) -> "InvalidRows":
        """Convert indices to those of a table; `offset` rows before the batch are stored."""
        moved = [replace(problem, index=problem.index + offset) for problem in self.problems]
        return InvalidRows(self._refused, moved, stored=offset)


_BY_STATUS: dict[int, type[Refused]] = {
    400: InvalidRequest,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    408: Unavailable,
    409: InvalidRequest,
    413: TooLarge,
    422: InvalidRequest,
    429: Unavailable,
}
_FIRST_OF_SERVERS = 500


def kind_of(status: int) -> type[Refused]:
    """Return the error class of a status."""
    if status >= _FIRST_OF_SERVERS:
        return Unavailable
    return _BY_STATUS.get(status, Refused)
