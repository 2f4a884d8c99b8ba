"""Request keys: how a truth finds its prediction, and how a repeated request is known.

Predictions and feedback of one request may arrive in any order and at the same moment. Each
looks for the other in the transaction that stores it, so two that run side by side could both
miss the other. Locks keep them apart: keys fall into a few buckets by model and hash; a writer of
predictions shares its buckets with others of its kind, a writer of feedback has them alone.
They are taken first and in ascending order, so writers can't deadlock.
"""

import hashlib
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Connection, text

# A large batch takes all buckets of its model, and PostgreSQL has room for some six thousand locks.
BUCKETS_PER_MODEL = 64
MODEL_SLOTS = 32
# Advisory locks are numbered per database; this class keeps ours apart from others'.
LOCK_CLASS = 724_001


def request_key(request_id: str) -> UUID:
    """128-bit hash of a request id: rows stay narrow whatever ids clients choose."""
    digest = hashlib.blake2b(request_id.encode(), digest_size=16).digest()
    return UUID(bytes=digest)


def share_keys(conn: Connection, keys: Iterable[tuple[int, UUID]]) -> None:
    """Let other predictions in, and keep feedback for these keys out, until commit.

    A key comes with the id of its model.
    """
    if buckets := _buckets(keys):
        conn.execute(_SHARE, {"class": LOCK_CLASS, "buckets": buckets})


def own_keys(conn: Connection, keys: Iterable[tuple[int, UUID]]) -> None:
    """Keep all other writers of these keys out until commit. Keys as in `share_keys`."""
    if buckets := _buckets(keys):
        conn.execute(_OWN, {"class": LOCK_CLASS, "buckets": buckets})


def _buckets(keys: Iterable[tuple[int, UUID]]) -> list[int]:
    return sorted(
        {
            model_id % MODEL_SLOTS * BUCKETS_PER_MODEL + key.int % BUCKETS_PER_MODEL
            for model_id, key in keys
        }
    )


_SHARE = text("""
    SELECT pg_advisory_xact_lock_shared(:class, bucket)
    FROM unnest(CAST(:buckets AS integer[])) AS bucket
""")
_OWN = text("""
    SELECT pg_advisory_xact_lock(:class, bucket)
    FROM unnest(CAST(:buckets AS integer[])) AS bucket
""")
