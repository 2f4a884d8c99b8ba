"""Batches: rows that are stored together or not at all, and what remains after a rejection."""

import gzip
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from truthline.errors import InvalidRequest, InvalidRows, TooLarge
from truthline.extras import extra

# Smaller bodies fit into one or two packets anyway.
_WORTH_PACKING = 1024
_ARROW = "application/vnd.apache.arrow.stream"
# The server names at most this many; if it names this many, there may be more.
_MANY_PROBLEMS = 100


@dataclass(frozen=True)
class Batch:
    """Encoded rows, with a key by which the server recognizes a retry."""

    rows: Sequence[bytes]
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    @cached_property
    def request(self) -> dict[str, Any]:
        """Body and headers, identical for each attempt."""
        body = b"\n".join(self.rows)
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": self.key}
        if len(body) >= _WORTH_PACKING:
            body = gzip.compress(body, compresslevel=1, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return {"content": body, "headers": headers}

    def __len__(self) -> int:
        return len(self.rows)

    def halves(self) -> "tuple[Batch, Batch]":
        """Return two batches with the same rows."""
        middle = len(self.rows) // 2
        return Batch(self.rows[:middle]), Batch(self.rows[middle:])

    def without_refused(self, error: InvalidRequest | TooLarge) -> "Rest":
        """Return what remains to be sent after the server rejected this batch.

        Rows that the error names are rejected. If it names none, the batch is bisected down to the
        invalid row, so that one invalid row does not affect the others.
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
class ArrowBatch:
    """Rows as a table of Arrow, with a key by which the server recognizes a retry."""

    table: Any
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    @cached_property
    def request(self) -> dict[str, Any]:
        """Query, body and headers, identical for each attempt."""
        pyarrow = extra("pyarrow", "arrow")
        sink = pyarrow.BufferOutputStream()
        options = pyarrow.ipc.IpcWriteOptions(compression="zstd")
        with pyarrow.ipc.new_stream(sink, self.table.schema, options=options) as writer:
            writer.write_table(self.table)
        headers = {"Content-Type": _ARROW, "Idempotency-Key": self.key}
        # stored whole or not at all, as other batches are
        parameters = {"bulk": "false"}
        return {
            "content": sink.getvalue().to_pybytes(),
            "headers": headers,
            "params": parameters,
        }

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def halves(self) -> "tuple[ArrowBatch, ArrowBatch]":
        """Return two batches with the same rows."""
        middle = len(self) // 2
        return ArrowBatch(self.table.slice(0, middle)), ArrowBatch(self.table.slice(middle))


@dataclass(frozen=True)
class Rest:
    """Batches with the rows to retry, and the number of rows that are permanently rejected."""

    batches: Sequence[Batch]
    refused: int
