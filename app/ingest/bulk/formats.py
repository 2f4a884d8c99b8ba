"""Media types of bodies of any size, and how each is read in chunks."""

import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO, Any, Protocol

import msgspec
import pyarrow as pa

from app.errors import InvalidInput, TooLarge
from app.ingest.bulk.checked import Chunk
from app.ingest.bulk.chunks import Batch, chunks_of_batches, chunks_of_lines
from app.ingest.bulk.csv_rows import csv_rows
from app.ingest.bulk.members import layout_of
from app.ingest.bulk.messages import CheckedMessages

NDJSON = "application/x-ndjson"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"

PIECE_BYTES = 1024 * 1024
LONGEST_LINE = 8 * 1024 * 1024
LONGEST_REASON = 200
LAST_WORDS_SECONDS = 10
UNPACK = (sys.executable, "-m", "app.ingest.bulk.unpack")
UNPACK_ROOM_BYTES = 512 * 1024 * 1024
OUT_OF_MEMORY = ("MemoryError", "bad_alloc")

Message = type[msgspec.Struct]


class Source(Protocol):
    """A body."""

    def read(self, size: int, /) -> bytes:
        """The next `size` bytes; fewer only at its end."""
        ...


def read_chunks(
    media_type: str, source: Source, row_type: Message, *, spool_bytes: int
) -> Generator[Chunk]:
    """The rows of a body in chunks, of which one at a time is in memory.

    Parquet, whose end is read first, is kept in a temporary file of at most `spool_bytes`.

    Raises:
        InvalidInput: the body is not of this type, or has columns that are not known.
        TooLarge: a part of it needs too much memory, or the file too much room.
    """
    if media_type == NDJSON:
        return _translated("NDJSON", chunks_of_lines(_pieces(source), LONGEST_LINE))
    if media_type == CSV:
        return _translated("CSV", _chunks_of_csv(source, row_type))
    if media_type == ARROW:
        return _translated(
            "an Arrow stream", chunks_of_arrow(CheckedMessages(source.read), row_type)
        )
    return _translated("Parquet", _chunks_of_parquet(source, row_type, spool_bytes))


def _pieces(source: Source) -> Iterator[bytes]:
    while piece := source.read(PIECE_BYTES):
        yield piece


def _translated(what: str, chunks: Iterator[Chunk]) -> Generator[Chunk]:
    """Chunks; errors of pyarrow become errors of the body."""
    try:
        yield from chunks
    except (pa.ArrowMemoryError, MemoryError):
        raise TooLarge("a part of the body needs too much memory; write smaller batches") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the body is not {what} that can be read: {reason_of(error)}") from None


def reason_of(error: Exception) -> str:
    """The first line of an error of pyarrow, shortened."""
    line = str(error).partition("\n")[0]
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}…"


# --- Arrow --------------------------------------------------------------------------------


def chunks_of_arrow(stream: Any, row_type: Message) -> Iterator[Batch]:
    """An Arrow stream in chunks; `stream` is a file."""
    with pa.ipc.open_stream(stream) as reader:
        layout = layout_of(reader.schema.names, row_type)
        yield from chunks_of_batches(_valid(reader), layout)


def _valid(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Batches whose buffers are what they claim, and whose texts are UTF-8."""
    for batch in batches:
        batch.validate(full=True)
        yield batch


def _chunks_of_csv(source: Source, row_type: Message) -> Iterator[Batch]:
    layout = None
    for rows in csv_rows(source.read):
        layout = layout or layout_of(rows.batch.schema.names, row_type, texts=True)
        yield Batch(rows.batch, layout, rows.index, rows.unreadable)


# --- Parquet ------------------------------------------------------------------------------


def _chunks_of_parquet(source: Source, row_type: Message, spool_bytes: int) -> Iterator[Batch]:
    with tempfile.TemporaryFile(prefix="truthline-") as file:
        size = 0
        for piece in _pieces(source):
            if (size := size + len(piece)) > spool_bytes:
                raise TooLarge(f"a Parquet body may have at most {spool_bytes} bytes")
            file.write(piece)
        file.flush()
        with _unpacked(file) as stream:
            yield from chunks_of_arrow(stream, row_type)


@contextmanager
def _unpacked(file: IO[bytes]) -> Iterator[CheckedMessages]:
    """A Parquet file as an Arrow stream, read by a process of limited memory.

    A page of Parquet says itself how much it unpacks to, and its encodings can repeat a value a
    million times, so no check beforehand would do.

    Raises:
        InvalidInput: it is no such file.
        TooLarge: it needs more memory.
    """
    file.seek(0)
    with subprocess.Popen(
        [*UNPACK, str(UNPACK_ROOM_BYTES)],
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout  # noqa: S101 - for the type checker
        try:
            yield CheckedMessages(process.stdout.read)
        except (pa.ArrowInvalid, OSError, InvalidInput) as error:
            raise (_failure(process) or error) from None
        else:  # where the process fails, its stream just ends
            if (failure := _failure(process)) is not None:
                raise failure
        finally:
            process.kill()


def _failure(process: subprocess.Popen[bytes]) -> Exception | None:
    """Why the process failed; None if it did not, or only because nothing was read any more."""
    assert process.stdout  # noqa: S101 - for the type checker, as the next
    assert process.stderr  # noqa: S101
    process.stdout.close()
    try:
        if process.wait(LAST_WORDS_SECONDS) == 0:
            return None
    except subprocess.TimeoutExpired:
        return TooLarge("a part of the Parquet body takes too long to unpack")
    stderr = process.stderr.read()
    if b"Broken pipe" in stderr:
        return None
    said = stderr.decode("utf-8", "replace").strip()
    if any(sign in said for sign in OUT_OF_MEMORY):
        return TooLarge("a part of the Parquet body needs too much memory; write smaller pages")
    said = said.splitlines()[-1][:LONGEST_REASON] if said else "it is malformed"
    return InvalidInput(f"the body is not Parquet that can be read: {said}")
