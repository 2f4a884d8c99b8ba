"""Where bodies end, and what a connection buffers."""

import socket
import threading
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.wire import Chunked, Counted, Room, Wire

MEBIBYTE = 1024 * 1024


def encoded(chunks, trailers=()):
    parts = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]
    return b"".join([*parts, b"0\r\n", *(b"%b\r\n" % trailer for trailer in trailers), b"\r\n"])


def pieces(whole, cuts):
    places = sorted({cut % (len(whole) + 1) for cut in cuts} | {0, len(whole)})
    return [whole[start:end] for start, end in pairwise(places)]


CHUNKS = st.lists(st.binary(min_size=1, max_size=40))
TRAILERS = st.lists(st.sampled_from([b"X-Sum: 1", b"0: 0", b"5"]), max_size=2)


@given(CHUNKS, TRAILERS, st.lists(st.integers(0, 10_000), max_size=10))
def test_a_chunked_body_ends_with_its_last_byte_however_it_comes(chunks, trailers, cuts):
    whole = encoded(chunks, trailers)
    framing = Chunked(MEBIBYTE)

    ended = [framing.feed(piece) for piece in pieces(whole, cuts)]

    assert ended == [False] * (len(ended) - 1) + [True]


@pytest.mark.parametrize("line", [b"x\r\n", b"-5\r\n", b"\r\n", b"a" * 70_000])
def test_what_is_no_chunk_ends_a_body(line):
    assert Chunked(MEBIBYTE).feed(line)


def test_a_chunked_body_that_is_too_long_ends():
    framing = Chunked(100)

    assert not framing.feed(b"ffffff\r\n" + b"a" * 80)
    assert framing.feed(b"a" * 80)


def test_a_counted_body_ends_when_all_has_come():
    framing = Counted(5)

    assert [framing.feed(b"ab"), framing.feed(b"cd"), framing.feed(b"e")] == [False, False, True]


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Wire(ours, Room(MEBIBYTE), 5), theirs


def test_what_came_is_read_in_order_and_no_longer_held(pair):
    wire, theirs = pair
    wire.receive(b"abc")
    wire.receive(b"")
    wire.receive(b"defg")
    theirs.sendall(b"h")

    wire.allow_reading(60.0)
    assert [wire.recv(2), wire.recv(9), wire.recv(4), wire.held] == [b"ab", b"c", b"defg", 0]


def test_reading_on_ends_at_the_deadline(pair):
    wire, _ = pair

    with pytest.raises(TimeoutError):
        wire.recv(1)


def test_an_answer_waits_for_its_client(pair):
    wire, theirs = pair
    wire.sendall(b"a" * 900_000)
    assert wire.held > 0

    taken = 0
    while taken < 900_000:
        taken += len(theirs.recv(65536))
        wire.flush()
    assert wire.held == 0


def test_a_response_in_parts_waits_for_its_reader():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire = Wire(ours, Room(100 * MEBIBYTE), 0.05)
        wire.sendall(bytes(2 * MEBIBYTE))  # a whole one is buffered
        began = time.monotonic()
        with pytest.raises(BrokenPipeError):
            wire.sendall(b"more")
        assert time.monotonic() - began >= 0.05

        reader = threading.Thread(target=lambda: [theirs.recv(65536) for _ in range(200)])
        reader.start()
        wire.sendall(b"more")
        ours.shutdown(socket.SHUT_WR)
        reader.join()


def test_who_left_is_gone(pair):
    wire, theirs = pair

    assert not wire.has_left()
    theirs.close()
    assert wire.has_left()
