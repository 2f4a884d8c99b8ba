"""A manipulated key or token grants no access and causes no crash."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.auth import tokens
from app.errors import Unauthenticated
from app.factory import create_app
from tests.api.given import SELDON, keyed_client
from tests.api.issuers import AUDIENCE, encoded, hmac_signed, serving

LIST = f"{SELDON}/pipeline/subscriptions"
TOKEN = "/auth/realms/any/protocol/openid-connect/token"
# What a header can hold: bytes, read as Latin-1; blanks at its ends don't count.
CHARACTERS = st.characters(min_codepoint=33, max_codepoint=255, exclude_categories=["Cc", "Zs"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.fixture(scope="module")
def issuer():
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def trusting(shared_settings, database, issuer):
    """A service that takes all three: keys, tokens of its own, and those of an issuer."""
    settings = replace(shared_settings, oidc_issuer=issuer.url, oidc_audience=AUDIENCE)
    return create_app(settings, database)


@pytest.fixture
def secrets(trusting, issuer, workspace):
    """One of each that opens a door, by kind."""
    client = trusting.test_client()
    form = {"grant_type": "refresh_token", "refresh_token": workspace.read_key}
    given = client.post(TOKEN, data=form).json
    found = {
        "key": workspace.read_key,
        "token": given["access_token"],
        "issuer's": issuer.token(workspace.name),
    }
    assert {keyed_client(trusting, s).get(LIST).status_code for s in found.values()} == {200}
    return found | {"refresh": given["refresh_token"]}


def tampered(draw, secret):
    """A secret with one character changed, added or left out, cut short, or its parts mixed."""
    at, new = draw(st.integers(0, len(secret) - 1)), draw(CHARACTERS)
    before, after, parts = secret[:at], secret[at:], secret.split(".")
    changed = draw(
        st.sampled_from(
            [
                before + new + after[1:],
                before + new + after,
                before + after[1:],
                before,
                after,
                before + after.swapcase(),
                ".".join(reversed(parts)),
                ".".join([*parts, new]),
                ".".join([*parts[:-1], parts[0]]),
                secret + "=",
            ]
        )
    )
    assume(changed != secret)
    return changed


@given(st.data())
def test_a_tampered_key_or_token_opens_nothing(trusting, secrets, data):
    kind = data.draw(st.sampled_from(["key", "token", "issuer's"]))
    changed = tampered(data.draw, secrets[kind])

    assert trusting.test_client().get(LIST, headers={"X-API-Key": changed}).status_code == 401


@given(st.data())
def test_a_tampered_key_or_token_is_not_exchanged(trusting, secrets, data):
    changed = tampered(data.draw, secrets[data.draw(st.sampled_from(list(secrets)))])
    client = trusting.test_client()

    craft = client.post("/api/v1/auth/refresh", json={"refresh_token": changed})
    oidc = client.post(TOKEN, data={"grant_type": "refresh_token", "refresh_token": changed})
    assert (craft.status_code, craft.json["name"]) == (401, "Unauthenticated")
    # an empty one is missing
    assert oidc.json["error"] == ("invalid_grant" if changed else "invalid_request")
    assert oidc.status_code == 400


@given(st.data(), JSON, JSON)
def test_what_only_looks_like_a_token_opens_nothing(trusting, issuer, data, header, claims):
    """Any JSON in its three parts, including the members that are checked."""
    if isinstance(header, dict):
        header |= {"alg": data.draw(st.sampled_from(["HS256", "RS256", "none"]) | JSON)}
        header |= data.draw(st.fixed_dictionaries({}, optional={"kid": st.just("rsa") | JSON}))
    if isinstance(claims, dict):
        claims |= {"iss": data.draw(st.sampled_from(["truthline", issuer.url]) | JSON)}
    token = f"{encoded(header)}.{encoded(claims)}.{encoded(data.draw(st.binary()))}"

    answer = trusting.test_client().get(LIST, headers={"X-API-Key": token})
    assert (answer.status_code, answer.json["code"]) == (401, 16)


def test_what_is_longer_than_any_token_is_not_even_taken_apart():
    head = {"alg": "HS256", "kid": "1"}
    assert (
        tokens.read(hmac_signed(head, {"sub": "1", "x": "x" * 20_000}, b"-")).claims["sub"] == "1"
    )
    with pytest.raises(Unauthenticated):
        tokens.read(hmac_signed(head, {"sub": "1", "x": "x" * 40_000}, b"-"))


def test_what_is_no_token_of_ours_is_not_remembered(trusting, secrets):
    kept = tokens._signed.cache_info().currsize
    stranger = hmac_signed({"alg": "HS256", "kid": "1"}, {"sub": "1", "exp": 9e9}, b"a guess")

    answer = trusting.test_client().get(LIST, headers={"X-API-Key": stranger})
    assert answer.status_code == 401
    assert tokens._signed.cache_info().currsize == kept
