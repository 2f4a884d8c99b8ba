"""Batches: rows that are stored together or not at all, and what is left when one is refused."""

import gzip
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from truthline.errors import InvalidRequest, InvalidRows, TooLarge

# What is smaller than this fits into a packet or two anyway.
_WORTH_PACKING = 1024
# As many as the server names; there may be more where there are as many.
_MANY_PROBLEMS = 100


@dataclass(frozen=True)
class Batch:
    """Encoded rows, under a key by which the server knows a repetition."""

    rows: Sequence[bytes]
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    @cached_property
    def request(self) -> dict[str, Any]:
        """Body and headers, the same each time it is sent."""
        body = b"\n".join(self.rows)
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": self.key}
        if len(body) >= _WORTH_PACKING:
            body = gzip.compress(body, compresslevel=1, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return {"content": body, "headers": headers}

    def without_refused(self, error: InvalidRequest | TooLarge) -> "Rest":
        """What is left to be sent after the server has refused this batch.

        Rows that it names are refused. Where it names none, halves are tried, down to the row
        that is to blame: one bad row costs none of its neighbours.
        """
        named = {p.index for p in error.problems} if isinstance(error, InvalidRows) else set()
        kept = [row for index, row in enumerate(self.rows) if index not in named]
        refused = len(self.rows) - len(kept)
        if not refused and len(kept) == 1:
            return Rest((), 1)
        if refused in range(1, _MANY_PROBLEMS):
            return Rest((Batch(kept),) if kept else (), refused)
        middle = (len(kept) + 1) // 2
        return Rest(tuple(Batch(half) for half in (kept[:middle], kept[middle:]) if half), refused)


@dataclass(frozen=True)
class Rest:
    """Batches that hold the rows worth another attempt, and how many are refused for good."""

    batches: Sequence[Batch]
    refused: int
