"""Request keys: they join truths with predictions, and identify repeated requests.

A lock on a request lets one transaction at a time join it with a truth (`app/ingest/joins.py`).
"""

import hashlib
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Connection, text


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


def lock_requests(conn: Connection, keys: Iterable[tuple[int, UUID]]) -> None:
    """Lock these keys until commit. A key comes with the id of its model.

    Each key has a lock of its own, so writers of other keys never wait. One call takes all locks of
    a transaction, in key order, so that writers can't deadlock.
    """
    if distinct := set(keys):
        model_ids, uuids = zip(*distinct, strict=True)
        conn.execute(_LOCK, {"model_ids": list(model_ids), "keys": list(uuids)})


_LOCK = text("""
    SELECT truthline_data.own_requests(CAST(:model_ids AS integer[]), CAST(:keys AS uuid[]))
""")
