"""The `Idempotency-Key` header: how a retry says which request it repeats."""

from collections.abc import Callable

from flask import request

from app.errors import InvalidInput
from app.ingest.batch import BatchKey

MAX_KEY_LENGTH = 255
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Names this batch: sent again with the same key it changes nothing",
    "schema": {"type": "string", "maxLength": MAX_KEY_LENGTH},
}


def batch_key(endpoint: str, content: Callable[[], bytes]) -> BatchKey | None:
    """The key of the current request, if it has one; `content` is the same in all of its tries.

    Raises:
        InvalidInput: it is too long, or can't be printed.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 0 < len(key) <= MAX_KEY_LENGTH or not key.isprintable():
        raise InvalidInput(f"Idempotency-Key must be 1 to {MAX_KEY_LENGTH} printable characters")
    return BatchKey.of(endpoint, key, content())
