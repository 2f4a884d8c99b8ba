"""What requests cost in memory: a process that makes them, and says by how much it grew.

Bodies are made and packed here, so that the process holds only what the service makes of them.
Lines in: a body's name, a method, a path, headers. Lines out: status, and bytes at the peak.
"""

import gzip
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, count, repeat

from flask.testing import FlaskClient

from app.config import Settings
from app.factory import create_app

SIZE = 16 * 1024 * 1024
EVENT = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "s",
    "ce-type": "io.seldon.serving.feedback",
    "ce-requestid": "r",
}


BATCH = 4096


def _packed(pieces: Iterable[bytes]) -> bytes:
    """A compressed body; no more than a piece of it is held uncompressed."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as stream:
        for piece in pieces:
            stream.write(piece)
    return packed.getvalue()


def _filled(head: bytes, part: bytes, tail: bytes) -> bytes:
    """A body of SIZE bytes, compressed, that repeats one part."""
    whole, rest = divmod((SIZE - len(head) - len(tail)) // len(part), BATCH)
    return _packed(chain([head], repeat(part * BATCH, whole), [part * rest, tail]))


def _numbered(head: bytes, part: bytes, tail: bytes) -> bytes:
    """As `_filled`, a batch shorter at most, with a number in each part."""
    return _packed(chain([head], _batches(part, SIZE - len(head) - len(tail)), [tail]))


def _batches(part: bytes, size: int) -> Iterator[bytes]:
    """A batch at a time, for each write costs as much as a thousand bytes."""
    for first in count(0, BATCH):
        batch = b"".join(part % number for number in range(first, first + BATCH))
        size -= len(batch)
        if size < 0:
            return
        yield batch


MANY_ROWS = (
    b'{"specversion":"1.0","id":"1","source":"s","type":"io.seldon.serving.inference.response",'
    b'"data":{"data":{"ndarray":[' + b"[0,1]," * 9_999 + b"[0,1]]}}}"
)
SCORES = b",".join(b'"class-%d":0.01' % number for number in range(100))
ROWS, END = b'{"predictions":[', b"0]}"
ROW = b'{"model":"m","label":"a"}'
RESULTS = b'{"inference_results":['
RESULT = RESULTS + b'{"inference":{"inference_id":"i","request":{"model_id":"m/1"},"response":['
NDARRAY = b'{"truth":{"data":{"ndarray":['
FEATURES = b'{"namespace":"","pipelineName":"","modelName":"m","featuresMetadata":['
BODIES = {
    "numbers": lambda: _filled(b"[", b"1,", b"1]"),
    "objects": lambda: _filled(b"[", b"{},", b"{}]"),
    "lists": lambda: _filled(b"[", b"[],", b"[]]"),
    "members": lambda: _numbered(b"{", b'"%d":1,', b'"a":1}'),
    "text": lambda: _filled('{"api_key":"😀'.encode(), b"x", b'"}'),
    "form": lambda: _filled(b"a=1", b"&a=1", b""),
    "rows: numbers": lambda: _filled(ROWS, b"1,", END),
    "rows: objects": lambda: _filled(ROWS, b"{},", b"{}]}"),
    "rows: lists": lambda: _filled(ROWS, b"[],", b"[]]}"),
    "rows: members": lambda: _numbered(b"{", b'"%d":[],', b'"predictions":[]}'),
    "rows: too many": lambda: _filled(ROWS, ROW + b",", ROW + b"]}"),
    "row: detections": lambda: _filled(
        ROWS + b'{"model":"m","detections":[', b'{"label":"ab"},', b'{"label":"a"}]}]}'
    ),
    "row: scores": lambda: _numbered(
        ROWS + b'{"model":"m","scores":{', b'"%d":0.5,', b'"a":0.5}}]}'
    ),
    "rows: scores": lambda: _filled(
        ROWS, b'{"model":"m","scores":{' + SCORES + b"}},", b'{"model":"m"}]}'
    ),
    "row: text": lambda: _filled(ROWS + '{"model":"😀'.encode(), b"x", b'"}]}'),
    "lines: objects": lambda: _filled(b"", b"{}\n", b""),
    "lines: empty": lambda: _filled(b"", b"\n", b""),
    "lines: too many": lambda: _filled(b"", ROW + b"\n", b""),
    "lines: detections": lambda: _filled(
        b"", b'{"model":"m","detections":[' + b'{"label":"ab"},' * 99 + b'{"label":"a"}]}\n', b""
    ),
    "results: numbers": lambda: _filled(RESULTS, b"1,", END),
    "results: objects": lambda: _filled(RESULTS, b"{},", b"{}]}"),
    "results: ignored": lambda: _filled(RESULTS + b'{"x":[', b"{},", b"{}]}]}"),
    "result: images": lambda: _filled(RESULT, b"{},", b"{}]}}]}"),
    "result: detections": lambda: _filled(
        RESULT + b'{"predictions":[', b'{"class":"ab"},', b'{"class":"a"}]}]}}]}'
    ),
    "data: objects": lambda: _filled(b'{"data":[', b"{},", b"{}]}"),
    "data: ids": lambda: _filled(
        b'{"data":[{"field_name":"a","field_value":"b","inference_ids":[', b'"ab",', b'"a"]}]}'
    ),
    "features: objects": lambda: _filled(FEATURES, b"{},", b"{}]}"),
    "features: categories": lambda: _filled(
        FEATURES + b'{"categorical":{"name":"a","categories":[', b'"ab",', b'"a"]}}]}'
    ),
    "values": lambda: _filled(b'{"execution_id":"x","values":[', b"1,", b"1]}"),
    "event: numbers": lambda: _filled(NDARRAY, b"1,", b"1]}}}"),
    "event: lists": lambda: _filled(NDARRAY, b"[],", b"[]]}}}"),
    "event: objects": lambda: _filled(NDARRAY, b"{},", b"{}]}}}"),
    "event: metrics": lambda: _filled(
        b'{"truth":{"data":{"ndarray":[1]},"meta":{"metrics":[', b"{},", b"{}]}}}"
    ),
    "structured: lists": lambda: _filled(
        b'{"specversion":"1.0","id":"1","source":"s","type":"io.seldon.serving.feedback","data":[',
        b"[],",
        b"[]]}",
    ),
    "structured: members": lambda: _numbered(
        b'{"specversion":"1.0","id":"1","source":"s","type":"t",', b'"a%d":1,', b'"a":1}'
    ),
    "events: rows": lambda: _filled(b"[", MANY_ROWS + b",", MANY_ROWS + b"]"),
}


def _peak() -> int:
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - no file of ours
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["VmHWM"].split()[0]) * 1024


def _forget_peak() -> None:
    with open("/proc/self/clear_refs", "w", encoding="ascii") as refs:  # noqa: PTH123 - as above
        refs.write("5")


def _grown(
    client: FlaskClient, method: str, path: str, packed: bytes, headers: dict[str, str]
) -> tuple[int, int]:
    """Status of an answer, and by how many bytes the process had grown at its peak."""
    _forget_peak()
    before = _peak()
    answer = client.open(
        path, method=method, data=packed, headers=headers | {"Content-Encoding": "gzip"}
    )
    return answer.status_code, _peak() - before


def _measure(
    client: FlaskClient, name: str, method: str, path: str, headers: dict[str, str]
) -> None:
    _grown(client, method, path, gzip.compress(b"{}"), headers)  # what a first request brings stays
    sys.stdout.write(json.dumps(_grown(client, method, path, BODIES[name](), headers)) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Measure each in a process of its own: what one request leaves behind, another could use."""
    client = create_app(Settings(database_url=sys.argv[1])).test_client()
    for line in sys.stdin:
        if child := os.fork():
            os.waitpid(child, 0)
        else:
            _measure(client, *json.loads(line))
            os._exit(0)


if __name__ == "__main__":
    main()
