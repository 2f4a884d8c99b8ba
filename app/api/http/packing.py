"""Packs responses: as zstd, br or gzip, whichever the client prefers of those that it accepts.

The length of a packed response tells whether a text that an attacker chose is repeated in it, next
to secrets (BREACH). So nothing is packed that contains tokens, nor anything that a page of another
site can make a browser ask for with its session.
"""

from flask import Flask, Response, request
from flask_compress import Compress

from app.api.http.columns import ARROW, CSV, NDJSON

# Smaller ones fit into a packet or two anyway.
WORTH_PACKING = 1400
MEDIA_TYPES = [
    *("application/json", "application/problem+json", NDJSON, CSV, ARROW),
    *("text/html", "text/plain"),
]
ALGORITHMS = ["zstd", "br", "gzip"]
TOKENS = ("/auth/", "/api/v1/auth/", "/login")
CONFIG = {
    "COMPRESS_REGISTER": False,  # see `_pack`
    "COMPRESS_MIMETYPES": MEDIA_TYPES,
    "COMPRESS_MIN_SIZE": WORTH_PACKING,
    "COMPRESS_ALGORITHM": ALGORITHMS,
    "COMPRESS_ALGORITHM_STREAMING": ALGORITHMS,
    # the fastest levels: an answer is packed once and read once
    "COMPRESS_LEVEL": 1,
    "COMPRESS_BR_LEVEL": 1,
    "COMPRESS_ZSTD_LEVEL": 1,
    "COMPRESS_EVALUATE_CONDITIONAL_REQUEST": False,
}


def install(app: Flask) -> None:
    """Pack the responses of an application."""
    app.config.update(CONFIG)
    compress = Compress(app)

    @app.after_request
    def pack(response: Response) -> Response:
        if not _may_be_packed(response):
            return response
        if request.accept_encodings.best_match(ALGORITHMS) is None:  # also if it refuses them: q=0
            response.vary.add("Accept-Encoding")
            return response
        return compress.after_request(response)


def _may_be_packed(response: Response) -> bool:
    """Whether its length can't reveal a secret; files with an ETag are sent as they are stored."""
    if request.path.startswith(TOKENS) or response.get_etag()[0] is not None:
        return False
    return request.method == "POST" or not request.cookies
