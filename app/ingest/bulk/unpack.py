"""Unpacks Parquet into an Arrow stream: a process of its own, whose memory is limited.

Run as `python -m app.ingest.bulk.unpack <bytes of memory> < file.parquet`. If it fails, it says
why.
"""

import resource
import sys
from collections.abc import Iterator
from typing import IO

import pyarrow as pa
from pyarrow import parquet

ROWS_AT_ONCE = 10_000
# A file that says it has more rows than this in each of its bytes only keeps the server busy.
MAX_ROWS_PER_BYTE = 64


def main() -> None:
    """Unpack standard input to standard output; exit code 1 if it can't be read."""
    limit_memory(int(sys.argv[1]))
    try:
        unpack(pa.OSFile("/dev/stdin"), sys.stdout.buffer)
    except (MemoryError, pa.ArrowMemoryError):
        sys.exit("MemoryError")
    except (pa.ArrowException, OSError, ValueError) as error:
        sys.exit(str(error).partition("\n")[0])


def limit_memory(room: int) -> None:
    """Let the process have so many bytes more than it has now."""
    with open("/proc/self/statm") as status:  # noqa: PTH123 - not a path of ours
        size = int(status.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + room, size + room))


def unpack(file: pa.NativeFile, out: IO[bytes]) -> None:
    """Write the rows of a Parquet file as an Arrow stream."""
    source = parquet.ParquetFile(file, pre_buffer=False)
    if source.metadata.num_rows > MAX_ROWS_PER_BYTE * file.size():
        raise ValueError("it announces far more rows than its size can hold")
    with pa.ipc.new_stream(out, source.schema_arrow) as writer:
        for batch in batches(source):
            writer.write_batch(batch)
    out.flush()


def batches(source: parquet.ParquetFile) -> Iterator[pa.RecordBatch]:
    """Its rows, some at once."""
    yield from source.iter_batches(batch_size=ROWS_AT_ONCE, use_threads=False)


if __name__ == "__main__":
    main()
