"""Responses in the path's dialect for requests that gunicorn rejects by itself.

Also the limits of heads: access tokens of eight kilobytes and more are common, in a header or in a
query.
"""

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from gunicorn.http import errors
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.workers.base import Worker
from werkzeug.exceptions import BadRequest

# The limits of a request line or one header with its name, and of all headers together.
MAX_LINE = 32 * 1024
MAX_HEAD = 64 * 1024
# If the error occurs before the line was parsed: enough for a method and a path.
REMEMBERED_BYTES = 2 * 1024
_log = logging.getLogger(__name__)

MALFORMED = (400, "the head of the request can't be parsed")
REFUSALS: dict[type[Exception], tuple[int, str]] = {
    errors.LimitRequestLine: (414, f"a request line may have at most {MAX_LINE} bytes"),
    errors.LimitRequestHeaders: (
        431,
        f"a header may have at most {MAX_LINE} bytes, all 100 of them {MAX_HEAD}",
    ),
    errors.ExpectationFailed: (417, "Expect may be 100-continue only"),
    errors.UnsupportedTransferCoding: (501, "Transfer-Encoding may be chunked only"),
    errors.ForbiddenProxyRequest: (403, "this proxy is not trusted"),
}
_LATE_BODY = b'{"type": "about:blank", "title": "Request Timeout", "status": 408}'
LATE = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
    b"Content-Type: application/problem+json\r\nContent-Length: %d\r\n\r\n%b"
) % (len(_LATE_BODY), _LATE_BODY)
CRASH = (500, "Something went wrong on the server; its log has the cause, under this request's id.")


class _RecordingUnreader:
    """Wraps gunicorn's unreader, and keeps the first bytes that it reads."""

    def __init__(self, unreader: Any) -> None:
        self._unreader = unreader
        self.first = b""

    def read(self, *size: int) -> bytes:
        """Like the wrapped one's."""
        data: bytes = self._unreader.read(*size)
        self.first += data[: max(0, REMEMBERED_BYTES - len(self.first))]
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unreader, name)


class LongRequest(Request):
    """A request with a longer head than gunicorn allows; its errors carry the request line."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.first = b""
        try:
            super().__init__(*arguments, **options)  # type: ignore[no-untyped-call] # gunicorn has no types
        except errors.ParseException as error:
            error.request_line = self.request_line()  # type: ignore[attr-defined] # read by ErrorResponder
            raise

    def parse(self, unreader: Any) -> Any:
        """Read the head."""
        self.limit_request_line = self._fast_limit_request_line = MAX_LINE
        self.limit_request_field_size = MAX_LINE
        self.max_buffer_headers = MAX_HEAD
        recorder = _RecordingUnreader(unreader)
        try:
            return super().parse(recorder)  # type: ignore[no-untyped-call] # as above
        finally:
            self.first = recorder.first

    def set_body_reader(self) -> None:
        """Blame the sender for a body that differs from what the head announced."""
        super().set_body_reader()  # type: ignore[no-untyped-call] # as above
        reader: Any = self.body and self.body.reader
        reader.read = _blaming_the_sender(reader.read)

    def request_line(self) -> tuple[str, str]:
        """Method and target, as far as they are known."""
        if self.uri:
            return str(self.method), str(self.uri)
        line = self.first.lstrip(b"\r\n").partition(b"\r\n")[0].decode("latin-1")
        method, _, rest = line.partition(" ")
        return method, rest.partition(" ")[0]


def _blaming_the_sender(read: Callable[..., bytes]) -> Callable[..., bytes]:
    def guarded(*size: Any) -> bytes:
        try:
            return read(*size)
        except errors.ParseException as error:
            raise BadRequest("the body is not what its head announces") from error

    return guarded


class ErrorResponder(Worker):  # to be mixed into a worker
    """Lets the application, which knows the dialects, respond to unreadable requests."""

    wsgi: Any

    def handle_error(self, req: Any, client: Any, _addr: Any, exc: Exception) -> None:
        """Respond to a request that gunicorn couldn't read, or that crashed the application."""
        request_line = getattr(exc, "request_line", None) or (
            getattr(req, "method", ""),
            getattr(req, "uri", ""),
        )
        status, detail = refusal_of(exc)
        response = self.wsgi.extensions["refuse"](*request_line, status, detail)
        path = quote(request_line[1].partition("?")[0])  # a query may contain a key
        if status == CRASH[0]:
            _log.error("%s %s failed", quote(request_line[0]), path, exc_info=exc)
        else:
            # the message of the exception may be a header with a key in it
            _log.warning("%s %s refused: %s", quote(request_line[0]), path, type(exc).__name__)
        try:
            client.sendall(_serialized(response))
        except OSError:
            _log.debug("the client is gone")


def refusal_of(error: Exception) -> tuple[int, str]:
    """Status, and what is wrong."""
    is_senders = isinstance(error, errors.ParseException) and not isinstance(
        error, errors.ConfigurationProblem
    )
    return REFUSALS.get(type(error), MALFORMED if is_senders else CRASH)


def _serialized(response: Any) -> bytes:
    """The response as HTTP. It closes the connection: where the next request starts is unknown."""
    body: bytes = response.get_data()
    response.headers["Connection"] = "close"
    response.headers["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in response.headers)
    return f"HTTP/1.1 {response.status}\r\n{head}\r\n".encode("latin-1") + body


def responding(worker: type[Any]) -> type[Any]:
    """This worker class, with longer heads, and with responses of the application to errors."""
    RequestParser.mesg_class = LongRequest
    return type(f"Responding{worker.__name__}", (ErrorResponder, worker), {})
