"""Scripts and styles: compressed, and kept by browsers for as long as their address names them.

The address of a file contains a fingerprint of it. Only while that is the one of the file served,
the answer may be kept permanently: during an upgrade one server may be asked for another's file.
Nothing here is secret, so compression reveals nothing; pages and their data are not compressed.
"""

import gzip
import hashlib
import re
from functools import cache
from mimetypes import guess_type
from pathlib import Path

from flask import request
from werkzeug.exceptions import NotFound
from werkzeug.security import safe_join
from werkzeug.wrappers import Response

from app.subpath import at_root

ASSETS = Path(__file__).parent / "assets"
PERMANENTLY = "public, max-age=31536000, immutable"
# Plotly with lines and bars alone: all of it is four times as large, and takes a second to start.
PLOTLY = "vendor/plotly-basic.min.js"
_DASH_FINGERPRINT = re.compile(r"\.(v[\w-]+m[0-9a-f]+)\.")
# By the digest of what was compressed; there are no more than the installed packages have files.
_compressed: dict[bytes, bytes] = {}


@cache
def _fingerprint(name: str) -> str:
    return _digest((ASSETS / name).read_bytes())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def address(name: str) -> str:
    """The address of one of our assets."""
    return at_root(f"/web/assets/{name}?v={_fingerprint(name)}")


def drawing() -> tuple[str, str]:
    """The addresses of the scripts that draw charts, as Dash asks for them when there is one."""
    return address(PLOTLY), at_root("/web/_dash-component-suites/dash/dcc/async-graph.js")


def names(suffix: str, *others: str) -> list[str]:
    """All our assets of a kind, except some."""
    return sorted(path.name for path in ASSETS.glob(f"*{suffix}") if path.name not in others)


def own_asset(name: str) -> Response:
    """One of our assets.

    Raises:
        NotFound: there is no such file.
    """
    path = Path(safe_join(str(ASSETS), name) or "")
    if not path.is_file():
        raise NotFound
    response = Response(path.read_bytes(), mimetype=guess_type(name)[0])
    return _kept(response, permanently=request.args.get("v") == _fingerprint(name))


def fingerprints(page: str) -> frozenset[str]:
    """The fingerprints of Dash's files that a page names."""
    return frozenset(_DASH_FINGERPRINT.findall(page))


def dash_file(response: Response, current: frozenset[str]) -> Response:
    """One of Dash's files, as its own application served it."""
    return _kept(response, permanently=bool(current & fingerprints(request.path)))


def _kept(response: Response, *, permanently: bool) -> Response:
    """A file, compressed if the browser takes it; asked for again unless it is kept permanently."""
    response.headers["Cache-Control"] = PERMANENTLY if permanently else "no-cache"
    response.vary.add("Accept-Encoding")
    if request.accept_encodings.quality("gzip"):
        response.set_data(_gzipped(response.get_data()))
        response.headers["Content-Encoding"] = "gzip"
    response.add_etag(overwrite=True)
    return response if permanently else response.make_conditional(request)


def _gzipped(body: bytes) -> bytes:
    digest = hashlib.sha256(body).digest()
    if digest not in _compressed:
        _compressed[digest] = gzip.compress(body, compresslevel=6, mtime=0)
    return _compressed[digest]
