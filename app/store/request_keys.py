"""Request keys: digests of request ids, which join truths with predictions and find requests."""

from collections.abc import Iterable
from hashlib import blake2b
from uuid import UUID

FAILED = "\0failed"


def request_digests(request_ids: Iterable[bytes]) -> bytes:
    """128-bit hashes of request ids: rows stay narrow for any ids that clients choose."""
    return b"".join([blake2b(id_, digest_size=16).digest() for id_ in request_ids])


def request_key(request_id: str) -> UUID:
    """The hash of a request id."""
    return UUID(bytes=request_digests([request_id.encode()]))


def failure_key(request_id: str) -> UUID:
    """The key of a failed attempt at a request."""
    return request_key(request_id + FAILED)


def unread_key(request_id: str) -> UUID:
    """The key of an answer that contains no output that can be read."""
    return request_key(f"{request_id}\0unread")


def keys_of(request_id: str) -> list[UUID]:
    """All keys that answers to a request may be stored under."""
    return [key(request_id) for key in (request_key, failure_key, unread_key)]
