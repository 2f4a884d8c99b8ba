"""Every error that a caller can cause, by name. No HTTP here: `app/api` maps each to a status.

TruthlineError
├── InvalidInput            the request can't be parsed
│   ├── InvalidWindow
│   └── InvalidSubscription
├── InvalidRows             a batch has invalid rows; none was stored
├── TooLarge                over a limit that the operator set
├── ListFull                a list of a step metric has no room for more
├── IdempotencyKeyReused    same key, different content
├── Unauthenticated         no key, or an unknown one
├── Forbidden               a known key without the right role
├── InvalidGrant            a refresh token that can't be exchanged
├── UnsupportedGrant        a grant type other than refresh_token
├── NotKept                 retention dropped rows that the answer needs
├── UnknownModel
├── UnknownDeployment
├── UnknownSubscription
├── UnknownExecution
├── UnknownStepMetric
├── UnknownRequest
├── UnknownMonitor
├── UnknownReceiver
├── ReceiverInUse           a monitor still tells it
├── DuplicateSubscription
├── WrongKind               a classification query of a regression model, or the reverse
├── ReplyFailed             the reply to an event could not be delivered
├── Busy                    the workspace runs too many or too costly queries
├── ClientGone               the client disconnected before the response
└── Unavailable             the database or an issuer of tokens is unreachable or busy
"""

from dataclasses import dataclass
from typing import Self


class TruthlineError(Exception):
    """An error that is reported to the caller."""

    reason = ""  # only for the log

    def because(self, reason: str) -> Self:
        """Add a reason for the log, which the caller doesn't see."""
        self.reason = reason
        return self


def with_reason(error: Exception) -> str:
    """The error's text and, for the operator, its reason."""
    reason = getattr(error, "reason", "")
    return f"{error} ({reason})" if reason else str(error)


class InvalidInput(TruthlineError):
    """The request could not be parsed."""


class InvalidWindow(InvalidInput):
    """The time window or interval is invalid."""


class InvalidSubscription(InvalidInput):
    """The subscription does not describe one output."""


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one row of a batch was rejected. `field` is empty if the whole row is invalid."""

    index: int
    field: str
    reason: str


# A batch may have a hundred thousand errors of one kind; nobody reads more than these.
MAX_ROW_ERRORS = 100


class InvalidRows(TruthlineError):
    """Some rows of the batch are invalid; nothing was stored."""

    def __init__(self, errors: list[RowError]) -> None:
        at_least = "at least " if len(errors) >= MAX_ROW_ERRORS else ""
        super().__init__(f"invalid rows: {at_least}{len(errors)}; nothing was stored")
        self.errors = errors


class TooLarge(TruthlineError):
    """The request is over a limit of this server."""


class ListFull(TruthlineError):
    """The list has no room for these values."""


class IdempotencyKeyReused(TruthlineError):
    """The Idempotency-Key was used before with different content."""


class Unauthenticated(TruthlineError):
    """The request has no valid API key."""


class Forbidden(TruthlineError):
    """The API key does not allow this."""


class InvalidGrant(TruthlineError):
    """The refresh token can't be exchanged."""


class UnsupportedGrant(TruthlineError):
    """Only refresh tokens can be exchanged for tokens."""


class NotKept(TruthlineError):
    """Retention has dropped rows that the answer needs."""


class UnknownModel(TruthlineError):
    """No such model exists."""


class UnknownDeployment(TruthlineError):
    """No such deployment exists."""


class UnknownSubscription(TruthlineError):
    """No such subscription exists."""


class UnknownExecution(TruthlineError):
    """No such execution exists."""


class UnknownStepMetric(TruthlineError):
    """No execution recorded such a metric."""


class UnknownRequest(TruthlineError):
    """Nothing is kept of such a request."""


class UnknownMonitor(TruthlineError):
    """No such monitor exists."""


class UnknownReceiver(TruthlineError):
    """No such receiver of messages exists."""


class ReceiverInUse(TruthlineError):
    """The receiver can't be deleted while a monitor tells it."""


class DuplicateSubscription(TruthlineError):
    """The model is already subscribed."""


class WrongKind(TruthlineError):
    """The model is of a different kind than the query."""


class ReplyFailed(TruthlineError):
    """The event was stored, but the reply to it could not be delivered."""


class Unavailable(TruthlineError):
    """The service is temporarily unavailable."""


class Busy(TruthlineError):
    """The workspace runs too many queries at once."""


class ClientGone(TruthlineError):
    """The client disconnected before the response."""
