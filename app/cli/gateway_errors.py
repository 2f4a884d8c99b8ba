"""What gunicorn refuses before the application has seen it, in the form of the path's dialect.

Also how long heads may be: access tokens of eight kilobytes and more are common, in a header or in
a query.
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

# Of a request line, and of one header with its name; and of all headers together.
LONGEST_LINE = 32 * 1024
LONGEST_HEAD = 64 * 1024
# Where the error comes before the line was understood: enough for a method and a path.
REMEMBERED = 2 * 1024
_log = logging.getLogger(__name__)

UNREADABLE = (400, "the head of the request can't be read")
REFUSALS: dict[type[Exception], tuple[int, str]] = {
    errors.LimitRequestLine: (414, f"a request line may have at most {LONGEST_LINE} bytes"),
    errors.LimitRequestHeaders: (
        431,
        f"a header may have at most {LONGEST_LINE} bytes, all 100 of them {LONGEST_HEAD}",
    ),
    errors.ExpectationFailed: (417, "Expect may be 100-continue only"),
    errors.UnsupportedTransferCoding: (501, "Transfer-Encoding may be chunked only"),
    errors.ForbiddenProxyRequest: (403, "this proxy is not trusted"),
}
CRASH = (500, "Something went wrong on the server; its log tells what, under this request's id.")


class _Remembering:
    """What is read of a connection, the first of it kept."""

    def __init__(self, unreader: Any) -> None:
        self._unreader = unreader
        self.first = b""

    def read(self, *size: int) -> bytes:
        """As the one below."""
        data: bytes = self._unreader.read(*size)
        self.first += data[: max(0, REMEMBERED - len(self.first))]
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unreader, name)


class LongRequest(Request):
    """A request with a longer head than gunicorn would take; its errors say what was asked."""

    def __init__(self, *given: Any, **more: Any) -> None:
        self.first = b""
        try:
            super().__init__(*given, **more)  # type: ignore[no-untyped-call] # gunicorn has no types
        except errors.ParseException as error:
            error.asked = self.asked()  # type: ignore[attr-defined] # read by Answering
            raise

    def parse(self, unreader: Any) -> Any:
        """Read the head."""
        self.limit_request_line = self._fast_limit_request_line = LONGEST_LINE
        self.limit_request_field_size = LONGEST_LINE
        self.max_buffer_headers = LONGEST_HEAD
        remembering = _Remembering(unreader)
        try:
            return super().parse(remembering)  # type: ignore[no-untyped-call] # as above
        finally:
            self.first = remembering.first

    def set_body_reader(self) -> None:
        """Let a body that is not what the head announced be the sender's fault."""
        super().set_body_reader()  # type: ignore[no-untyped-call] # as above
        reader: Any = self.body and self.body.reader
        reader.read = _blaming_the_sender(reader.read)

    def asked(self) -> tuple[str, str]:
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


class Answering(Worker):  # to be mixed into a worker
    """Answers what can't be read through the application, which knows the dialects' forms."""

    wsgi: Any

    def handle_error(self, req: Any, client: Any, _addr: Any, exc: Exception) -> None:
        """Answer a request that gunicorn could not read, or that broke the application."""
        asked = getattr(exc, "asked", None) or (getattr(req, "method", ""), getattr(req, "uri", ""))
        status, detail = refusal_of(exc)
        response = self.wsgi.extensions["refuse"](*asked, status, detail)
        path = quote(asked[1].partition("?")[0])  # a query may hold a key
        if status == CRASH[0]:
            _log.error("%s %s failed", quote(asked[0]), path, exc_info=exc)
        else:
            # what the exception says may be a header, with a key in it
            _log.warning("%s %s refused: %s", quote(asked[0]), path, type(exc).__name__)
        try:
            client.sendall(_written(response))
        except OSError:
            _log.debug("the client is gone")


def refusal_of(error: Exception) -> tuple[int, str]:
    """Status, and what is wrong."""
    is_senders = isinstance(error, errors.ParseException) and not isinstance(
        error, errors.ConfigurationProblem
    )
    return REFUSALS.get(type(error), UNREADABLE if is_senders else CRASH)


def _written(response: Any) -> bytes:
    """The response as HTTP, which ends the connection: where the next request begins is unknown."""
    body: bytes = response.get_data()
    response.headers["Connection"] = "close"
    response.headers["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in response.headers)
    return f"HTTP/1.1 {response.status}\r\n{head}\r\n".encode("latin-1") + body


def answering(worker: type[Any]) -> type[Any]:
    """This worker class, for long heads; what it can't read is answered through the application."""
    RequestParser.mesg_class = LongRequest
    return type(f"Answering{worker.__name__}", (Answering, worker), {})
