"""Clients that send slowly, or not at all, or don't take their answer: nobody else waits for them.

The server has two threads and short limits; the clients are many more, and in no hurry.
"""

import json
import socket
import time
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest
import requests

from tests.cli.test_commands import served

PATIENCE = 60
MANY = 60
LIMITS = {
    "TRUTHLINE_HEAD_TIMEOUT_S": "3",
    "TRUTHLINE_BODY_TIMEOUT_S": "3",
    "TRUTHLINE_ANSWER_TIMEOUT_S": "3",
    "TRUTHLINE_MAX_BODY_BYTES": "1000000",
}
LONG = {name: "300" for name in LIMITS if name.endswith("_S")}
HEAD = b"POST /api/v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def body(number, rows=1):
    row = {"model": "m", "label": "a"}
    made = [row | {"requestId": f"{number}-{place}"} for place in range(rows)]
    return json.dumps({"predictions": made}).encode()


def with_length(sent):
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(sent)


def chunked(sent, trailer=b""):
    chunks = [sent[place : place + 7] for place in range(0, len(sent), 7)]
    written = b"".join(b"%X;a=b\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + written + b"0\r\n" + trailer + b"\r\n"


@pytest.fixture(scope="module")
def hurried(tmp_path_factory):
    """A server that gives clients three seconds."""
    with served(
        tmp_path_factory.mktemp("hurried"), "--no-auth", "--threads", "2", **LIMITS
    ) as base:
        yield base


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """A server that gives clients five minutes, but threads to none of them."""
    with served(tmp_path_factory.mktemp("patient"), "--no-auth", "--threads", "2", **LONG) as base:
        yield base


@contextmanager
def connected(base, sent=b"", *, receiving=None):
    sock = socket.socket()
    if receiving:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receiving)
    with sock:
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", urlsplit(base).port))
        sock.sendall(sent)
        yield sock


def all_of(sock):
    """What comes until the server closes; a reset is an end too."""
    parts = []
    try:
        while part := sock.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def answer_to(sock):
    """Status and body of the next answer; the interim ones before it are in the list."""
    interim, data = [], b""
    while True:
        while b"\r\n\r\n" not in data:
            part = sock.recv(65536)
            assert part, data
            data += part
        head, _, data = data.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        if status >= 200:
            break
        interim.append(status)
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    while len(data) < length:
        data += sock.recv(65536)
    return interim, status, data


SLOW = {
    "silent": b"",
    "half a head": b"GET /livez HTTP/1.1\r\nHos",
    "half a body": with_length(b"x" * 1000) + b'{"predictions"',
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n100\r\nabc",
    "one that waits for 100": HEAD + b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n",
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW.keys())
def test_slow_senders_keep_nobody_waiting(patient, sent):
    with ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(connected(patient, sent))
        statuses = [
            requests.get(f"{patient}/livez", timeout=PATIENCE).status_code,
            requests.get(f"{patient}/readyz", timeout=PATIENCE).status_code,
            requests.post(
                f"{patient}/api/v1/predictions",
                data=body("quick"),
                headers={"Content-Type": "application/json"},
                timeout=PATIENCE,
            ).status_code,
        ]

    assert statuses == [200] * 3


def test_who_does_not_take_answers_keeps_nobody_waiting(patient):
    many = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(connected(patient, many, receiving=4096))
        for _ in range(100):  # until what the kernel takes for each is full
            answer = requests.get(f"{patient}/openapi.json", timeout=PATIENCE)
            assert answer.status_code == 200


def test_a_late_client_gets_a_timeout(hurried):
    late = {name: sent for name, sent in SLOW.items() if sent}
    with ExitStack() as stack:
        socks = [stack.enter_context(connected(hurried, sent)) for sent in late.values()]
        answers = [all_of(sock) for sock in socks]

    for answer in answers:
        assert b"HTTP/1.1 408 Request Timeout\r\n" in answer
        assert b"application/problem+json" in answer
        assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["status"] == 408


def test_a_silent_client_is_hung_up_on(hurried):
    with connected(hurried) as sock:
        assert all_of(sock) == b""


@pytest.mark.parametrize("begun", ["head", "body"])
def test_dripping_does_not_make_time_longer(hurried, begun):
    drops = b"X-Slow: " + b"a" * 400 if begun == "head" else b"a" * 400
    first = HEAD if begun == "head" else with_length(b"x" * 1000)
    with connected(hurried, first) as sock:
        sock.settimeout(0.2)
        deadline, answer = time.monotonic() + PATIENCE, b""
        for drop in drops:
            assert time.monotonic() < deadline
            try:
                sock.sendall(bytes([drop]))
                if answer := sock.recv(65536):
                    break
            except TimeoutError:
                continue

    assert answer.startswith(b"HTTP/1.1 408 ")


def test_an_answer_has_to_be_taken_in_time(hurried):
    many = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200
    with connected(hurried, many, receiving=4096) as sock:
        cut = wait_for(lambda: cut_answers(hurried) > 0)
        rest = all_of(sock)

    assert cut
    assert rest.count(b"HTTP/1.1 200 OK") < 200


def cut_answers(base):
    text = requests.get(f"{base}/metrics", timeout=PATIENCE).text
    (line,) = [
        line for line in text.splitlines() if 'connections_cut_total{phase="answer"}' in line
    ] or ["0"]
    return float(line.split()[-1])


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


def test_what_comes_in_pieces_is_taken_whole(patient):
    for number, whole in enumerate(
        [
            with_length(body("pieces")) + body("pieces"),
            chunked(body("chunks")),
            chunked(body("trailers"), b"X-Sum: 1\r\nX-More: 2\r\n"),
        ]
    ):
        with connected(patient) as sock:
            for place in range(0, len(whole), 29):
                sock.sendall(whole[place : place + 29])
                time.sleep(0.005)
            _, status, answer = answer_to(sock)
        assert (number, status, json.loads(answer)["accepted"]) == (number, 200, 1)


def test_a_client_that_expects_100_is_told_to_continue(patient):
    sent = body("expected")
    head = with_length(sent).replace(b"Content-Type", b"Expect: 100-continue\r\nContent-Type")
    with connected(patient, head) as sock:
        assert sock.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(sent)
        interim, status, _ = answer_to(sock)

    assert (interim, status) == ([], 200)


def test_one_connection_carries_several_requests(patient):
    first, second = body("first"), body("second")
    with connected(patient, with_length(first) + first + with_length(second) + second) as sock:
        answers = [json.loads(answer_to_one(sock))["accepted"] for _ in range(2)]
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer_to(sock)[1] == 200

    assert answers == [1, 1]


def answer_to_one(sock):
    """The next answer and not a byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    return sock.recv(length, socket.MSG_WAITALL)


def test_a_body_that_is_too_long_is_refused_unread(hurried):
    head = HEAD + b"Content-Length: 1000001\r\n\r\n"
    with connected(hurried, head) as sock:
        assert answer_to(sock)[1] == 413


def test_large_bodies_come_one_after_the_other_where_there_is_little_room(tmp_path):
    sent = [body(f"large-{number}", rows=3000) for number in range(4)]
    assert all(len(one) > 150_000 for one in sent)
    little = {"TRUTHLINE_MAX_WAITING_BYTES": "100000"}
    with (
        served(tmp_path / "data", "--no-auth", "--threads", "2", **little) as base,
        ExitStack() as stack,
    ):
        socks = [stack.enter_context(connected(base, with_length(one))) for one in sent]
        for part in range(4):
            for sock, one in zip(socks, sent, strict=True):
                quarter = len(one) // 4 + 1
                sock.sendall(one[part * quarter : (part + 1) * quarter])
        answers = [answer_to(sock) for sock in socks]

    assert [status for _, status, _ in answers] == [200] * 4
    assert [json.loads(data)["accepted"] for _, _, data in answers] == [3000] * 4


def test_a_stop_waits_for_no_slow_client(tmp_path):
    with (
        ExitStack() as stack,
        served(tmp_path / "data", "--no-auth", "--threads", "2", **LIMITS) as base,
    ):
        for sent in SLOW.values():
            stack.enter_context(connected(base, sent))
