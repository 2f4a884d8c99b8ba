"""Everything that can go wrong, by name.

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
    """Seconds that the server asked to wait before the next attempt, if it did."""


class Unreachable(TruthlineError):
    """No answer came. `delivered` tells whether the request may have arrived all the same."""

    def __init__(self, message: str, *, delivered: bool) -> None:
        super().__init__(message)
        self.delivered = delivered


class NotTruthline(TruthlineError):
    """An answer came that no Truthline gives."""


class Unloggable(TruthlineError, ValueError):
    """A row that has no form on the wire."""


class Refused(TruthlineError):
    """The server refused. `kind` is its name for the error; its log knows the `request_id`."""

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
    """No key, or one that isn't known."""


class Forbidden(Refused):
    """A known key without the right."""


class NotFound(Refused):
    """No such model, deployment or path."""


class TooLarge(Refused):
    """More than the operator of the server lets in."""


class InvalidRequest(Refused):
    """The request can't be understood, or has no answer."""


class Unavailable(Refused):
    """The server can't answer now; it may be tried again."""


@dataclass(frozen=True)
class RowProblem:
    """Why a row can't be stored. `field` is empty where the row as a whole is meant."""

    index: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"row {self.index}: {self.field} {self.reason}".replace(":  ", ": ")


class InvalidRows(InvalidRequest):
    """Rows of a batch can't be stored.

    `problems` names them by their place in what was sent, up to a hundred; of the batch that
    holds them nothing was stored. `stored` counts the rows that batches before it had brought in.
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
        """The same of a table, where `offset` rows went before the batch and are stored."""
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
    """The error that a status stands for."""
    if status >= _FIRST_OF_SERVERS:
        return Unavailable
    return _BY_STATUS.get(status, Refused)
