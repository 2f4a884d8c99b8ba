"""Messages of an Arrow stream, checked before pyarrow allocates what they announce.

A message is its length, its metadata, and its body. The metadata is a flatbuffer:
https://arrow.apache.org/docs/format/Columnar.html. It may announce a body of any length, and a
compressed buffer any length of its own, so both are limited here. Dictionaries last as long as the
stream, so all of them together are limited.
"""

import struct
from collections.abc import Callable, Iterator

from app.errors import InvalidInput, TooLarge

MAX_MESSAGE = 128 * 1024 * 1024
MAX_METADATA = 8 * 1024 * 1024
MOST_EMPTY_ROWS = 1000
MAX_DICTIONARIES = 64 * 1024 * 1024
_CONTINUATION = b"\xff\xff\xff\xff"
_DICTIONARY, _RECORDS = 2, 3
_WORD, _LENGTH_BYTES = 4, 8
Read = Callable[[int], bytes]


class CheckedMessages:
    """A file of which pyarrow reads the messages of a stream once each was checked."""

    closed = False

    def __init__(self, read: Read) -> None:
        self._messages = _messages(read)
        self._waiting = memoryview(b"")

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end.

        Raises:
            TooLarge: a message, or all dictionaries together.
            InvalidInput: a message is malformed, or incomplete.
        """
        parts = []
        while size > 0:
            if not self._waiting:
                if (part := next(self._messages, None)) is None:
                    break
                self._waiting = memoryview(part)
            taken, self._waiting = self._waiting[:size], self._waiting[size:]
            parts.append(taken)
            size -= len(taken)
        return b"".join(parts)


def _messages(read: Read) -> Iterator[bytes]:
    """The parts of each message; they end with the stream."""
    dictionaries = 0
    while (prefix := _prefix(read)) is not None:
        yield prefix
        (length,) = struct.unpack("<i", prefix[-4:])
        if length == 0:
            return
        if not 0 < length <= MAX_METADATA:
            raise TooLarge(f"metadata of a message may have at most {MAX_METADATA} bytes")
        yield (metadata := _exactly(read, length))
        kind, size = _described(metadata)
        if not 0 <= size <= MAX_MESSAGE:
            raise TooLarge(_rule())
        body = _exactly(read, size)
        unpacked = _unpacked_size(metadata, kind, body)
        if unpacked > MAX_MESSAGE:
            raise TooLarge(f"{_rule()}, unpacked too")
        dictionaries += unpacked if kind == _DICTIONARY else 0
        if dictionaries > MAX_DICTIONARIES:
            raise TooLarge(f"dictionaries may have at most {MAX_DICTIONARIES} bytes together")
        yield body


def _rule() -> str:
    return f"a record batch may have at most {MAX_MESSAGE} bytes; write smaller ones"


def _prefix(read: Read) -> bytes | None:
    """The length of the metadata, after the mark that older writers leave out; None at the end."""
    first = read(_WORD)
    if not first:
        return None
    if len(first) < _WORD:
        raise InvalidInput("the Arrow stream is incomplete")
    return first + _exactly(read, _WORD) if first == _CONTINUATION else first


def _exactly(read: Read, size: int) -> bytes:
    data = read(size) if size else b""
    if len(data) < size:
        raise InvalidInput("the Arrow stream is incomplete")
    return data


# --- flatbuffers --------------------------------------------------------------------------


def _described(metadata: bytes) -> tuple[int, int]:
    """The kind of a message, and the length of its body."""
    try:
        message = _Table.root(metadata)
        return message.number(1, "<B"), message.number(3, "<q")
    except struct.error:
        raise InvalidInput("the Arrow stream has a malformed message") from None


def _unpacked_size(metadata: bytes, kind: int, body: bytes) -> int:
    """The length of a body once its buffers are unpacked."""
    try:
        header = _Table.root(metadata).table(2)
        batch = header.table(1) if kind == _DICTIONARY and header else header
        if kind not in (_DICTIONARY, _RECORDS) or batch is None:
            return len(body)
        size = len(body)
        if batch.table(3) is not None:
            size = sum(_unpacked(body, *bounds) for bounds in batch.structs(2, "<qq"))
        if batch.number(0, "<q") > 8 * size + MOST_EMPTY_ROWS:  # not even a bit for each
            raise InvalidInput("a record batch announces more rows than it has")
    except struct.error:
        raise InvalidInput("the Arrow stream has a malformed message") from None
    return size


def _unpacked(body: bytes, offset: int, length: int) -> int:
    """The length of a compressed buffer, which precedes it, or -1 if it is not compressed."""
    if length < _LENGTH_BYTES:
        return 0
    if offset < 0:
        raise struct.error
    (announced,) = struct.unpack_from("<q", body, offset)
    return length if announced < 0 else int(announced)


class _Table:
    """A table of a flatbuffer, of which few fields are read."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self._fields = at - self._unpack("<i", at)

    @classmethod
    def root(cls, data: bytes) -> "_Table":
        return cls(data, int(struct.unpack_from("<I", data)[0]))

    def _unpack(self, form: str, at: int) -> int:
        if at < 0:  # struct would count from the end
            raise struct.error
        return int(struct.unpack_from(form, self._data, at)[0])

    def _place(self, field: int) -> int | None:
        """Where a field is; None if it is absent."""
        slot = 4 + 2 * field
        if slot >= self._unpack("<H", self._fields):
            return None
        offset = self._unpack("<H", self._fields + slot)
        return self._at + offset if offset else None

    def number(self, field: int, form: str) -> int:
        """A number; 0 if it is absent."""
        place = self._place(field)
        return 0 if place is None else self._unpack(form, place)

    def table(self, field: int) -> "_Table | None":
        """A table within this one."""
        place = self._place(field)
        return None if place is None else _Table(self._data, place + self._unpack("<I", place))

    def structs(self, field: int, form: str) -> Iterator[tuple[int, ...]]:
        """A list of structs."""
        if (place := self._place(field)) is None:
            return
        start = place + self._unpack("<I", place)
        number = self._unpack("<I", start)
        if number * struct.calcsize(form) > len(self._data):
            raise struct.error
        yield from struct.iter_unpack(
            form, self._data[start + 4 : start + 4 + number * struct.calcsize(form)]
        )
