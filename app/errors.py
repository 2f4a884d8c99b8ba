"""Every failure a caller can cause, by name. No HTTP here: `app/api` gives each a status.

TruthlineError
├── InvalidInput            the request can't be understood
│   ├── InvalidWindow
│   └── InvalidSubscription
├── InvalidRows             a batch has bad rows; none was stored
├── TooLarge                over a limit that the operator set
├── ListFull                a list of a step metric has no room for more
├── IdempotencyKeyReused    same key, other content
├── Unauthenticated         no key, or one that isn't known
├── Forbidden               a known key without the right
├── InvalidGrant            a refresh token that can't be exchanged
├── UnsupportedGrant        another way to a token than a refresh token
├── NotKept                 retention dropped the rows that the answer would be made of
├── UnknownModel
├── UnknownDeployment
├── UnknownSubscription
├── UnknownExecution
├── UnknownStepMetric
├── DuplicateSubscription
├── WrongKind               a classification question to a regression model, or the reverse
├── ReplyFailed             the reply to an event could not be delivered
├── Busy                    the workspace has too many or too costly questions under way
├── AskerGone               the client left before its answer came
└── Unavailable             the database, or an issuer of tokens, can't answer now
"""

from dataclasses import dataclass
from typing import Self


class TruthlineError(Exception):
    """Something went wrong that its caller can read about."""

    reason = ""  # what only the log may tell

    def because(self, reason: str) -> Self:
        """The same with a reason for whoever runs the service."""
        self.reason = reason
        return self


class InvalidInput(TruthlineError):
    """The request could not be understood."""


class InvalidWindow(InvalidInput):
    """The time window or interval is not one that can be answered."""


class InvalidSubscription(InvalidInput):
    """The subscription does not describe one output."""


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one row of a batch was refused. `field` is empty where the row as a whole is meant."""

    index: int
    field: str
    reason: str


# A batch may hold a hundred thousand mistakes of one kind; nobody reads more than these.
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
    """The Idempotency-Key was used before with other content."""


class Unauthenticated(TruthlineError):
    """The request carries no valid API key."""


class Forbidden(TruthlineError):
    """The API key does not allow this."""


class InvalidGrant(TruthlineError):
    """The refresh token can't be exchanged."""


class UnsupportedGrant(TruthlineError):
    """Tokens are given for refresh tokens only."""


class NotKept(TruthlineError):
    """Rows that the answer would be made of were dropped by retention."""


class UnknownModel(TruthlineError):
    """No such model is known."""


class UnknownDeployment(TruthlineError):
    """No such deployment is known."""


class UnknownSubscription(TruthlineError):
    """No such subscription exists."""


class UnknownExecution(TruthlineError):
    """No such execution is known."""


class UnknownStepMetric(TruthlineError):
    """No execution recorded such a metric."""


class DuplicateSubscription(TruthlineError):
    """The model is already subscribed."""


class WrongKind(TruthlineError):
    """The model is not of the kind the question is about."""


class ReplyFailed(TruthlineError):
    """The event was taken, but the reply to it could not be delivered."""


class Unavailable(TruthlineError):
    """The service can't answer right now."""


class Busy(TruthlineError):
    """The workspace has as many questions under way as it may have."""


class AskerGone(TruthlineError):
    """The client left before its answer came."""
