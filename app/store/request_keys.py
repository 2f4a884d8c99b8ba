"""Request keys: digests of request ids, which join truths with predictions and find requests."""

import hashlib
from uuid import UUID


def request_key(request_id: str) -> UUID:
    """128-bit hash of a request id: rows stay narrow for any ids that clients choose."""
    digest = hashlib.blake2b(request_id.encode(), digest_size=16).digest()
    return UUID(bytes=digest)


def failure_key(request_id: str) -> UUID:
    """The key of a failed attempt at a request."""
    return request_key(f"{request_id}\0failed")


def unread_key(request_id: str) -> UUID:
    """The key of an answer that contains no output that can be read."""
    return request_key(f"{request_id}\0unread")


def keys_of(request_id: str) -> list[UUID]:
    """All keys that answers to a request may be stored under."""
    return [key(request_id) for key in (request_key, failure_key, unread_key)]
