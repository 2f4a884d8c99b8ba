"""The `Idempotency-Key` header, which makes retries safe."""

from collections.abc import Callable

from flask import request

from app.errors import InvalidInput
from app.ingest.batch import BatchKey

MAX_KEY_LENGTH = 255
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Identifies this batch: a retry with the same key changes nothing",
    "schema": {"type": "string", "maxLength": MAX_KEY_LENGTH},
}


def batch_key(endpoint: str, content: Callable[[], bytes]) -> BatchKey | None:
    """The key of the current request, if it has one; `content` is equal in all its attempts.

    Raises:
        InvalidInput: it is too long, or not printable.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 0 < len(key) <= MAX_KEY_LENGTH or not key.isprintable():
        raise InvalidInput(f"Idempotency-Key must be 1 to {MAX_KEY_LENGTH} printable characters")
    return BatchKey.of(endpoint, key, content())
