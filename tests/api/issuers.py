"""An issuer of tokens whose every word a test decides: its documents, its keys, its claims."""

import base64
import hmac
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

AUDIENCE = "truthline-test"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
SHARED_SECRET = b"s" * 32
RSA = (RSA_KEY, "RS256", "rsa")
EC = (EC_KEY, "ES256", "ec")


def public_pem(key=RSA_KEY):
    """What everybody can have of a key."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(kind, key, **members):
    """A key as it stands in a JWKS."""
    algorithm = {"RSA": jwt.algorithms.RSAAlgorithm, "EC": jwt.algorithms.ECAlgorithm}[kind]
    return algorithm.to_jwk(key.public_key(), as_dict=True) | {"use": "sig"} | members


def encoded(part):
    """A part of a token, of bytes or of what becomes JSON."""
    made = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def hmac_signed(header, claims, secret):
    """A token with an HMAC, whatever its header says and whatever the secret is."""
    signed = f"{encoded(header)}.{encoded(claims)}"
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"


SYMMETRIC = {"kty": "oct", "kid": "shared", "alg": "HS256", "k": encoded(SHARED_SECRET)}


class FakeIssuer:
    """Serves discovery and keys on loopback; `asked` lists the paths it was asked for."""

    def __init__(self, url):
        self.url = url
        self.asked = []
        self.keys = [jwk("RSA", RSA_KEY, kid="rsa"), jwk("EC", EC_KEY, kid="ec"), SYMMETRIC]
        self.documents = {
            "/.well-known/openid-configuration": lambda: {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
            },
            "/keys": lambda: {"keys": self.keys},
        }

    def answer(self, path):
        """The body for a path, and its status."""
        self.asked.append(path)
        made = self.documents[path]()
        return made if isinstance(made, bytes) else json.dumps(made).encode()

    def claims(self, workspace="", roles=("read",), **claims):
        """What a good token says; None leaves a claim out."""
        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 600}
        said |= {"truthline_workspace": workspace, "truthline_role": list(roles)} | claims
        return {name: value for name, value in said.items() if value is not None}

    def token(self, workspace="", roles=("read",), *, signer=RSA, **claims):
        """A token; without more it is a good one. `signer` is key, algorithm and key id."""
        key, alg, kid = signer
        header = {"kid": kid} if kid is not None else {}
        said = json.dumps(self.claims(workspace, roles, **claims)).encode()
        return jwt.api_jws.encode(said, key, alg, headers=header)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        issuer = self.server.issuer
        try:
            body, status = issuer.answer(self.path), 200
        except KeyError:
            body, status = b"nothing here", 404
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def serving():
    """A running issuer."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.issuer = FakeIssuer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.issuer
        finally:
            server.shutdown()
            thread.join()
