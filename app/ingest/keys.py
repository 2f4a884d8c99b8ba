"""Request keys: how a truth finds its prediction, and how a repeated request is known.

A lock on a request keeps others out who would join it with a truth (`app/ingest/meetings.py`).
"""

import hashlib
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Connection, text


def request_key(request_id: str) -> UUID:
    """128-bit hash of a request id: rows stay narrow whatever ids clients choose."""
    digest = hashlib.blake2b(request_id.encode(), digest_size=16).digest()
    return UUID(bytes=digest)


def own_keys(conn: Connection, keys: Iterable[tuple[int, UUID]]) -> None:
    """Keep all other owners of these keys out until commit. A key comes with the id of its model.

    A key has a lock of its own, so writers of other keys never wait. All keys of a transaction are
    owned in one call, which takes them in order: writers can't deadlock.
    """
    if distinct := set(keys):
        model_ids, uuids = zip(*distinct, strict=True)
        conn.execute(_OWN, {"model_ids": list(model_ids), "keys": list(uuids)})


_OWN = text("""
    SELECT truthline_data.own_requests(CAST(:model_ids AS integer[]), CAST(:keys AS uuid[]))
""")
