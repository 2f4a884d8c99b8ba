"""Tokens of an external issuer: which are accepted, and that all others are rejected."""

import time
import warnings
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests

from app.auth import issuer as subject
from app.factory import create_app
from tests.api.given import SELDON, keyed_client, predict, prediction
from tests.api.issuers import (
    AUDIENCE,
    EC,
    OTHER_RSA_KEY,
    RSA,
    RSA_KEY,
    SHARED_SECRET,
    encoded,
    hmac_signed,
    jwk,
    public_pem,
    serving,
)
from tests.servers import free_port

LIST = f"{SELDON}/pipeline/subscriptions"
WRONG_TOKEN = "this access token is not valid, has expired or was revoked"
NO_ACCESS = "this token gives access to no workspace"
AWAY = "the keys of this token's issuer can't be fetched; try again"


@pytest.fixture
def issuer():
    with serving() as running:
        yield running


@pytest.fixture
def trusting(shared_settings, database):
    """Make a service that accepts tokens of an issuer."""

    def make(url, **settings):
        chosen = {"oidc_issuer": url, "oidc_audience": AUDIENCE} | settings
        return create_app(replace(shared_settings, **chosen), database)

    return make


@pytest.fixture
def ask(trusting, issuer):
    """Ask a service that trusts the issuer, with a token."""
    app = trusting(issuer.url)
    return lambda token: keyed_client(app, token).get(LIST)


# --- what opens -----------------------------------------------------------------------------


# what the provider is built on is about to change; that is no concern of ours
with warnings.catch_warnings(record=True):
    import oidc_provider_mock


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # likewise
def test_a_token_of_a_real_provider_opens_its_workspace(trusting, workspace):
    claims = {"truthline_workspace": workspace.name, "truthline_role": "read"}
    ann = oidc_provider_mock.User(sub="ann", claims=claims)
    with oidc_provider_mock.run_server_in_thread(user_claims=[ann]) as server:
        url = f"http://localhost:{server.server_port}"
        client = keyed_client(trusting(url), logged_in(url, "ann"))

        assert client.get(LIST).json == {"subscriptions": []}
        assert predict(client, prediction(label="a")).status_code == 403


def logged_in(url, user):
    """The token that a user gets who logs in at the provider."""
    client = {"client_id": AUDIENCE, "redirect_uri": "http://localhost/back"}
    asked = client | {"response_type": "code", "scope": "openid"}
    with requests.Session() as session:
        sent_back = session.post(
            f"{url}/oauth2/authorize",
            params=asked,
            data={"sub": user},
            allow_redirects=False,
            timeout=5,
        )
        code = parse_qs(urlsplit(sent_back.headers["Location"]).query)["code"][0]
        grant = client | {"grant_type": "authorization_code", "code": code, "client_secret": "s"}
        return session.post(f"{url}/oauth2/token", data=grant, timeout=5).json()["id_token"]


@pytest.mark.parametrize(
    "signed",
    [
        {"signer": RSA},
        {"signer": EC},
        {"aud": ["another", AUDIENCE]},
        {"exp": lambda: int(time.time()) - 10},  # clocks may differ; the test may start late
    ],
    ids=["RSA", "EC", "one of several audiences", "just expired"],
)
def test_a_good_token_opens(ask, issuer, workspace, signed):
    claims = {name: said() if callable(said) else said for name, said in signed.items()}
    assert ask(issuer.token(workspace.name, **claims)).status_code == 200


@pytest.mark.parametrize("roles", [["ingest", "read"], ["admin"], ["offline_access", "read"]])
def test_each_role_of_a_token_counts(ask, issuer, workspace, roles):
    assert ask(issuer.token(workspace.name, roles)).status_code == 200


def test_a_token_with_two_roles_writes_and_reads(trusting, issuer, workspace):
    client = keyed_client(trusting(issuer.url), issuer.token(workspace.name, ["ingest", "read"]))

    assert predict(client, prediction(label="a")).status_code == 200
    assert client.get(LIST).status_code == 200


def test_claims_may_have_other_names_and_lie_deeper(trusting, issuer, workspace):
    names = {"oidc_workspace_claim": "https://example.org/team", "oidc_role_claim": "realm.roles"}
    claims = {"https://example.org/team": workspace.name, "realm": {"roles": ["read"]}}
    token = issuer.token(truthline_workspace=None, truthline_role=None, **claims)

    assert keyed_client(trusting(issuer.url, **names), token).get(LIST).status_code == 200


def test_keys_are_valid_without_the_issuer(trusting, issuer, workspace):
    assert keyed_client(trusting(issuer.url), workspace.read_key).get(LIST).status_code == 200
    assert issuer.asked == []


def test_the_issuer_is_requested_once_for_many_tokens(ask, issuer, workspace):
    for _ in range(5):
        assert ask(issuer.token(workspace.name)).status_code == 200
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


def test_a_new_key_of_the_issuer_is_fetched_when_it_turns_up(ask, issuer, workspace, monkeypatch):
    assert ask(issuer.token(workspace.name)).status_code == 200
    issuer.keys = [jwk("RSA", OTHER_RSA_KEY, kid="next")]
    monkeypatch.setattr("jwt.jwks_client.time.monotonic", lambda: time.perf_counter() + 1e6)

    assert (
        ask(issuer.token(workspace.name, signer=(OTHER_RSA_KEY, "RS256", "next"))).status_code
        == 200
    )


# --- what doesn't ---------------------------------------------------------------------------


def unsigned(issuer, workspace, alg="none", **header):
    """A token without signature."""
    header = {"alg": alg, "typ": "JWT", "kid": "rsa"} | header
    return f"{encoded(header)}.{encoded(issuer.claims(workspace))}."


def hmac_of_the_public_key(issuer, workspace):
    """With its text as secret: what a careless verifier would take for its own."""
    header = {"alg": "HS256", "kid": "rsa"}
    return hmac_signed(header, issuer.claims(workspace), public_pem())


def hmac_of_a_published_secret(issuer, workspace, alg):
    """With a secret that the issuer carelessly lists among its keys."""
    header = {"alg": alg, "kid": "shared"}
    return hmac_signed(header, issuer.claims(workspace), SHARED_SECRET)


FORGED = {
    "alg none": unsigned,
    "alg None": lambda i, w: unsigned(i, w, "None"),
    "alg none, with a signature": lambda i, w: unsigned(i, w) + i.token(w).split(".")[2],
    "no alg": lambda i, w: unsigned(i, w, None),
    "alg is a number": lambda i, w: unsigned(i, w, 1),
    "HS256 with the public key": hmac_of_the_public_key,
    "HS256 with a published secret": lambda i, w: hmac_of_a_published_secret(i, w, "HS256"),
    "a published secret as RS256": lambda i, w: hmac_of_a_published_secret(i, w, "RS256"),
    "another's key": lambda i, w: i.token(w, signer=(OTHER_RSA_KEY, "RS256", "rsa")),
    "the name of another key": lambda i, w: i.token(w, signer=(RSA_KEY, "RS256", "ec")),
    "another algorithm than the key's": lambda i, w: i.token(w, signer=(RSA_KEY, "PS256", "rsa")),
    "unknown key": lambda i, w: i.token(w, signer=(RSA_KEY, "RS256", "unknown")),
    "which of the keys": lambda i, w: i.token(w, signer=(RSA_KEY, "RS256", None)),
    "key is a number": lambda i, w: unsigned(i, w, "RS256", kid=1) + "AAAA",
    "wrong audience": lambda i, w: i.token(w, aud="another"),
    "no audience": lambda i, w: i.token(w, aud=None),
    "wrong issuer": lambda i, w: i.token(w, iss="https://issuer.example"),
    "issuer with a slash": lambda i, w: i.token(w, iss=i.url + "/"),
    "issuer is a list": lambda i, w: i.token(w, iss=[i.url]),
    "no issuer": lambda i, w: i.token(w, iss=None),
    "our name as issuer": lambda i, w: i.token(w, iss="truthline"),
    "expired": lambda i, w: i.token(w, exp=int(time.time()) - 60),
    "never expires": lambda i, w: i.token(w, exp=None),
    "expires when": lambda i, w: i.token(w, exp="soon"),
    "expires at infinity": lambda i, w: i.token(w, exp=float("inf")),
    "not yet valid": lambda i, w: i.token(w, nbf=int(time.time()) + 60),
    "made later": lambda i, w: i.token(w, iat=int(time.time()) + 60),
    "critical extension": lambda i, w: jwt.encode(
        i.claims(w), RSA_KEY, "RS256", headers={"kid": "rsa", "crit": ["exp"]}
    ),
    "claims are a list": lambda *_: jwt.api_jws.encode(b"[]", RSA_KEY, "RS256", {"kid": "rsa"}),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_bad_token_is_refused_in_each_dialects_form(trusting, issuer, workspace, forge):
    client = keyed_client(trusting(issuer.url), forge(issuer, workspace.name))

    seldon, native = client.get(LIST), predict(client, prediction(label="a"))
    assert (seldon.status_code, native.status_code) == (401, 401)
    assert seldon.json["code"] == 16
    assert native.content_type == "application/problem+json"
    assert native.json["detail"] == seldon.json["message"]
    assert workspace.name not in seldon.text + native.text


@pytest.mark.parametrize(
    "claims",
    [
        {"truthline_workspace": "no-such-workspace"},
        {"truthline_workspace": None},
        {"truthline_workspace": ""},
        {"truthline_workspace": 1},
        {"truthline_workspace": ["default", "other"]},
        {"truthline_workspace": "nul\0"},
        {"truthline_workspace": {"name": "default"}},
        {"truthline_role": None},
        {"truthline_role": "owner"},
        {"truthline_role": []},
        {"truthline_role": [["read"]]},
        {"truthline_role": "READ"},
    ],
    ids=str,
)
def test_a_valid_token_without_access_learns_nothing(ask, issuer, workspace, claims):
    answer = ask(issuer.token(**{"truthline_workspace": workspace.name} | claims))

    assert (answer.status_code, answer.json["message"]) == (403, NO_ACCESS)


def test_a_token_of_an_issuer_opens_nothing_where_none_is_trusted(app, issuer, workspace):
    answer = keyed_client(app, issuer.token(workspace.name)).get(LIST)

    assert (answer.status_code, answer.json["message"]) == (401, WRONG_TOKEN)
    assert issuer.asked == []


def test_strangers_can_not_make_us_ask_the_issuer_over_and_over(ask, issuer, workspace):
    for number in range(5):
        assert (
            ask(
                issuer.token(workspace.name, signer=(RSA_KEY, "RS256", f"invented-{number}"))
            ).status_code
            == 401
        )
    assert len(issuer.asked) == 2


# --- an unreachable issuer ------------------------------------------------------------------


def test_an_unreachable_issuer_is_reported_in_each_form(trusting, issuer, workspace, caplog):
    away = f"http://127.0.0.1:{free_port()}"
    token = issuer.token(workspace.name, iss=away)
    client = keyed_client(trusting(away), token)

    seldon, native = client.get(LIST), predict(client, prediction(label="a"))
    assert (seldon.status_code, seldon.json) == (
        503,
        {"code": 14, "message": AWAY, "details": []},
    )
    assert (native.status_code, native.json["detail"]) == (503, AWAY)
    assert f"the issuer {away} returned no keys" in caplog.text  # for the operator: why
    assert token not in caplog.text


BROKEN = {
    "no such page": ("/.well-known/openid-configuration", None),
    "no JSON": ("/.well-known/openid-configuration", b"<html>"),
    "no object": ("/.well-known/openid-configuration", ["issuer"]),
    "no keys' address": ("/.well-known/openid-configuration", {"jwks_uri": None}),
    "another's document": ("/.well-known/openid-configuration", {"issuer": "https://x.example"}),
    "keys in a file": ("/.well-known/openid-configuration", {"jwks_uri": "file:///etc/passwd"}),
    "address is a number": ("/.well-known/openid-configuration", {"jwks_uri": 1}),
    "no such keys": ("/keys", None),
    "keys are no JSON": ("/keys", b"\xff"),
    "keys are a list": ("/keys", []),
    "keys of no use": ("/keys", {"keys": [{"kty": "new"}]}),
    "no keys": ("/keys", {"keys": []}),
}


@pytest.mark.parametrize(("path", "document"), BROKEN.values(), ids=BROKEN)
def test_an_issuer_that_answers_nonsense_is_as_good_as_away(
    ask, issuer, workspace, monkeypatch, path, document
):
    good = dict(issuer.documents)
    named = good[path]() if path.startswith("/.well-known") else {}
    made = named | document if isinstance(document, dict) else document
    if document is None:
        del issuer.documents[path]
    else:
        issuer.documents[path] = lambda: made
    answer = ask(issuer.token(workspace.name))
    assert (answer.status_code, answer.json["message"]) == (503, AWAY)

    issuer.documents = good
    assert ask(issuer.token(workspace.name)).status_code == 503  # it is left alone for a while
    monkeypatch.setattr(subject, "PAUSE_SECONDS", 0)
    assert ask(issuer.token(workspace.name)).status_code == 200


# --- settings -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"oidc_issuer": "https://issuer.example"}, "TRUTHLINE_OIDC_AUDIENCE"),
        ({"oidc_issuer": "file:///etc", "oidc_audience": "a"}, "TRUTHLINE_OIDC_ISSUER"),
        ({"oidc_issuer": "issuer.example", "oidc_audience": "a"}, "TRUTHLINE_OIDC_ISSUER"),
        ({"public_url": "example.org"}, "TRUTHLINE_PUBLIC_URL"),
        ({"trusted_proxies": "127.0.0.1,proxy"}, "TRUTHLINE_TRUSTED_PROXIES"),
        ({"access_token_seconds": 120}, "TRUTHLINE_ACCESS_TOKEN_SECONDS"),
        ({"access_token_seconds": 10**6}, "TRUTHLINE_ACCESS_TOKEN_SECONDS"),
    ],
    ids=str,
)
def test_settings_that_could_not_work_are_refused(shared_settings, given, named):
    with pytest.raises(ValueError, match=named):
        replace(shared_settings, **given)
