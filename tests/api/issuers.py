"""A token issuer whose documents, keys and claims a test controls."""

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Signer = tuple[PrivateKey | bytes | str, str, str | None]  # key, algorithm, key id

AUDIENCE = "truthline-test"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
SHARED_SECRET = b"s" * 32
ALGORITHMS: dict[str, Any] = {
    "RSA": jwt.algorithms.RSAAlgorithm,
    "EC": jwt.algorithms.ECAlgorithm,
}
RSA: Signer = (RSA_KEY, "RS256", "rsa")
EC: Signer = (EC_KEY, "ES256", "ec")


def public_pem(key: PrivateKey = RSA_KEY) -> bytes:
    """What everybody can have of a key."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(kind: str, key: PrivateKey, **members: Any) -> dict[str, Any]:
    """A key as it stands in a JWKS."""
    to_jwk: Callable[..., dict[str, Any]] = ALGORITHMS[kind].to_jwk
    return to_jwk(key.public_key(), as_dict=True) | {"use": "sig"} | members


def encoded(part: bytes | Mapping[str, Any]) -> str:
    """A part of a token, of bytes or of what becomes JSON."""
    made = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def hmac_signed(header: Mapping[str, Any], claims: Any, secret: bytes) -> str:
    """A token with an HMAC of any secret, independent of its header."""
    signed = f"{encoded(header)}.{encoded(claims)}"
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"


SYMMETRIC = {"kty": "oct", "kid": "shared", "alg": "HS256", "k": encoded(SHARED_SECRET)}


class FakeIssuer:
    """Serves discovery and keys on loopback; `asked` lists the requested paths."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        self.keys = [jwk("RSA", RSA_KEY, kid="rsa"), jwk("EC", EC_KEY, kid="ec"), SYMMETRIC]
        self.documents: dict[str, Callable[[], Any]] = {
            "/.well-known/openid-configuration": lambda: {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
            },
            "/keys": lambda: {"keys": self.keys},
        }

    def answer(self, path: str) -> bytes:
        """The body for a path, and its status."""
        self.asked.append(path)
        made = self.documents[path]()
        return made if isinstance(made, bytes) else json.dumps(made).encode()

    def claims(
        self, workspace: str = "", roles: Sequence[str] = ("read",), **claims: Any
    ) -> dict[str, Any]:
        """Claims of a valid token; None omits a claim."""
        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 600}
        said |= {"truthline_workspace": workspace, "truthline_role": list(roles)} | claims
        return {name: value for name, value in said.items() if value is not None}

    def token(
        self,
        workspace: str = "",
        roles: Sequence[str] = ("read",),
        *,
        signer: Signer = RSA,
        **claims: Any,
    ) -> str:
        """A token; without more it is a good one. `signer` is key, algorithm and key id."""
        key, alg, kid = signer
        header = {"kid": kid} if kid is not None else {}
        said = json.dumps(self.claims(workspace, roles, **claims)).encode()
        return jwt.api_jws.encode(said, key, alg, headers=header)


class _Server(ThreadingHTTPServer):
    issuer: FakeIssuer


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        issuer = self.server.issuer
        try:
            body, status = issuer.answer(self.path), 200
        except KeyError:
            body, status = b"nothing here", 404
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[FakeIssuer]:
    """A running issuer."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.issuer = FakeIssuer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.issuer
        finally:
            server.shutdown()
            thread.join()
