"""Locks on requests: one transaction at a time joins a request with a truth.

`app/ingest/joins.py` says when they are taken.
"""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Connection, text


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
