"""The two exchanges: a key, or a refresh token, for a token that lasts an hour."""

import re
import threading
import time
from dataclasses import replace
from datetime import timedelta

import h2o_authn
import jwt
import pytest
from sqlalchemy import text

from app.auth import refresh, tokens
from app.auth.keys import Role, create_key
from app.factory import create_app
from tests.api.given import SELDON, keyed_client, predict, prediction
from tests.api.issuers import OTHER_RSA_KEY, encoded, hmac_signed, public_pem
from tests.api.live import serving

LIST = f"{SELDON}/pipeline/subscriptions"
CRAFT = "/api/v1/auth/refresh"
REALM = "/auth/realms/any"
TOKEN = f"{REALM}/protocol/openid-connect/token"
REVOKE = f"{REALM}/protocol/openid-connect/revoke"
DISCOVERY = f"{REALM}/.well-known/openid-configuration"
WRONG_KEY = "this API key does not exist, has expired or was revoked"
WRONG_TOKEN = "this access token is not valid, has expired or was revoked"
REFUSED = {
    "error": "invalid_grant",
    "error_description": "the refresh token does not exist, has expired, or was used or revoked",
}


@pytest.fixture
def stranger(app):
    """A client without a key."""
    return app.test_client()


@pytest.fixture
def craft(stranger):
    """Exchange as Craft's SDK does."""
    return lambda token: stranger.post(CRAFT, json={"refresh_token": token})


@pytest.fixture
def oidc(stranger):
    """Exchange as H2O's clients do."""

    def post(token, **more):
        form = {"client_id": "platform", "grant_type": "refresh_token", "refresh_token": token}
        return stranger.post(TOKEN, data=form | more)

    return post


@pytest.fixture
def opens(app):
    """Whether a credential opens a door."""
    return lambda credential: keyed_client(app, credential).get(LIST).status_code == 200


@pytest.fixture
def execute(database):
    """Run a statement on the tables of access."""

    def run(statement, **parameters):
        with database.writing() as conn:
            return conn.execute(text(statement), parameters)

    return run


@pytest.fixture
def revoke_keys(execute, workspace):
    """Revoke the keys of this test's workspace."""
    return lambda: execute(
        "UPDATE api_key SET revoked_at = now() WHERE workspace_id = :id", id=workspace.id
    )


@pytest.fixture
def expire_keys(execute, workspace):
    """Let the keys of this test's workspace expire."""
    return lambda: execute(
        "UPDATE api_key SET expires_at = now() WHERE workspace_id = :id", id=workspace.id
    )


@pytest.fixture(scope="module")
def served_url(app):
    """The service on a port, for clients that bring HTTP of their own."""
    with serving(app) as url:
        yield url


def pair(answer):
    """(access token, refresh token) of an accepted exchange."""
    assert answer.status_code == 200, answer.text
    return answer.json["access_token"], answer.json["refresh_token"]


def refused(answer):
    """Whether the token endpoint refused a refresh token, in Keycloak's form."""
    return (answer.status_code, answer.json) == (400, REFUSED)


# --- Craft ----------------------------------------------------------------------------------


def test_crafts_exchange_gives_a_token_that_opens_what_the_key_opens(craft, app, workspace):
    answer = craft(workspace.read_key)

    assert (answer.status_code, list(answer.json)) == (200, ["access_token"])
    assert answer.headers["Cache-Control"] == "no-store"
    client = keyed_client(app, answer.json["access_token"])
    assert client.get(LIST).status_code == 200
    assert predict(client, prediction(label="a")).status_code == 403


def test_crafts_sdk_can_tell_how_long_a_token_lasts(craft, workspace):
    """It reads the token without its signature, and counts from its own clock."""
    token = craft(workspace.read_key).json["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})

    assert claims["exp"] - claims["iat"] == 3600
    assert abs(claims["iat"] - time.time()) < 60
    assert workspace.name not in str(claims)


def test_the_lifetime_is_a_setting(shared_settings, database, workspace):
    client = create_app(replace(shared_settings, access_token_seconds=300), database).test_client()

    token = client.post(CRAFT, json={"refresh_token": workspace.read_key}).json["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 300


@pytest.mark.parametrize("wrong", ["tl_invented", "", "a.b.c", "tlr_invented", "ключ"], ids=ascii)
def test_a_wrong_key_is_reported_as_crafts_sdk_reads_it(craft, wrong):
    answer = craft(wrong)

    assert (answer.status_code, answer.content_type) == (401, "application/json")
    assert set(answer.json) == {"message", "name", "request_id"}
    assert (answer.json["message"], answer.json["name"]) == (WRONG_KEY, "Unauthenticated")
    assert answer.json["request_id"] == answer.headers["X-Request-ID"]


def test_an_access_token_is_no_key_to_exchange(craft, oidc, workspace):
    token = craft(workspace.read_key).json["access_token"]

    assert craft(token).status_code == 401
    assert refused(oidc(token))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{}", 400),
        (b"[]", 400),
        (b'{"refresh_token": null}', 400),
        (b'{"refresh_token": 1}', 400),
        (b'{"refresh_token": "\\ud800"}', 400),
        (b'{"refresh_token"', 400),
        (b"\xff", 400),
        (b"[" * 50_000, 400),
        (b"[" * 70_000, 413),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_body_that_craft_would_not_send_is_rejected_in_json(stranger, body, status):
    answer = stranger.post(CRAFT, data=body, content_type="application/json")

    assert answer.status_code == status
    assert answer.json["name"] == ("InvalidInput" if status == 400 else "TooLarge")


@pytest.mark.parametrize(
    ("method", "path", "status", "name"),
    [
        ("GET", CRAFT, 405, "MethodNotAllowed"),
        ("POST", "/api/v1/auth/nothing", 404, "NotFound"),
    ],
)
def test_also_http_errors_are_json_objects_for_craft(stranger, method, path, status, name):
    answer = stranger.open(path, method=method)

    assert (answer.status_code, answer.json["name"]) == (status, name)
    assert answer.json["message"]


# --- OpenID Connect -------------------------------------------------------------------------


def test_the_token_endpoint_answers_as_h2os_clients_need_it(oidc, opens, workspace):
    answer = oidc(workspace.read_key)

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json["expires_in"] == 3600
    assert answer.json["token_type"] == "Bearer"
    access, refresh_token = pair(answer)
    assert opens(access)
    assert not opens(refresh_token)
    assert refresh_token != workspace.read_key


@pytest.mark.parametrize(
    "more",
    [{"client_secret": "s"}, {"scope": "openid"}, {"client_id": ""}],
    ids=str,
)
def test_what_else_clients_send_changes_nothing(oidc, workspace, more):
    assert oidc(workspace.read_key, **more).status_code == 200


@pytest.mark.parametrize(
    ("form", "error", "said"),
    [
        ({"colour": "green"}, "invalid_request", "missing form parameter: grant_type"),
        ({"grant_type": "refresh_token"}, "invalid_request", "missing form parameter: refresh_"),
        ({"grant_type": "password"}, "unsupported_grant_type", "grant_type must be refresh_token"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type", "grant_type must be"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant", "the refresh"),
    ],
    ids=["nothing", "no token", "password", "client credentials", "wrong"],
)
def test_errors_have_keycloaks_form(stranger, form, error, said):
    answer = stranger.post(TOKEN, data=form)

    assert (answer.status_code, answer.content_type) == (400, "application/json")
    assert set(answer.json) == {"error", "error_description"}
    assert answer.json["error"] == error
    assert answer.json["error_description"].startswith(said)


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (lambda client: client.post(TOKEN, json={}), 415),
        (lambda client: client.get(TOKEN), 405),
        (lambda client: client.get("/auth/realms/any/nothing"), 404),
        (lambda client: client.post(TOKEN, data={"grant_type": "r" * 600_000}), 413),
    ],
    ids=["JSON", "GET", "unknown", "large"],
)
def test_also_http_errors_have_keycloaks_form(stranger, call, status):
    answer = call(stranger)

    assert answer.status_code == status
    assert answer.json["error"] == "invalid_request"


def test_every_realm_answers_alike(stranger, workspace):
    """Or one could find out which there are."""
    for realm in ("master", workspace.name, "no such realm"):
        path = TOKEN.replace("any", realm)
        form = {"grant_type": "refresh_token", "refresh_token": "wrong"}
        assert refused(stranger.post(path, data=form))


def test_a_client_finds_the_endpoints(stranger):
    found = stranger.get(DISCOVERY).json

    assert found["issuer"] == "http://localhost/auth/realms/any"
    assert found["token_endpoint"] == f"http://localhost{TOKEN}"
    assert found["revocation_endpoint"] == f"http://localhost{REVOKE}"


def test_behind_a_proxy_the_address_is_a_setting(shared_settings, database):
    public = replace(shared_settings, public_url="https://truthline.example/base/")
    found = create_app(public, database).test_client().get(DISCOVERY).json

    assert found["token_endpoint"] == f"https://truthline.example/base{TOKEN}"


def test_h2os_token_provider_goes_on_for_ever(served_url, workspace, opens):
    """The published client: it finds the endpoint, exchanges the key, then follows the rotation."""
    provider = h2o_authn.TokenProvider(
        refresh_token=workspace.read_key,
        client_id="platform",
        issuer_url=f"{served_url}{REALM}",
        expiry_threshold=timedelta(hours=2),  # so that every call refreshes
        minimal_refresh_period=timedelta(0),
    )

    tokens = [provider() for _ in range(3)]
    assert len(set(tokens)) == 3
    assert all(map(opens, tokens))


def test_h2os_token_provider_names_what_is_wrong(served_url):
    provider = h2o_authn.TokenProvider(
        refresh_token="wrong", client_id="platform", issuer_url=f"{served_url}{REALM}"
    )

    with pytest.raises(h2o_authn.error.TokenEndpointError, match="invalid_grant"):
        provider()


# --- rotation -------------------------------------------------------------------------------


def test_each_refresh_token_leads_to_the_next(oidc, opens, workspace):
    token, seen = workspace.read_key, set()
    for _ in range(4):
        access, token = pair(oidc(token))
        seen.add(token)
        assert opens(access)
    assert len(seen) == 4


def test_the_key_stays_good_for_beginning_again(oidc, workspace):
    assert len({pair(oidc(workspace.read_key)) for _ in range(3)}) == 3


def test_a_token_may_come_twice_at_once(oidc, opens, workspace):
    """Its answer was lost, or two threads of a client refresh at the same moment."""
    _, token = pair(oidc(workspace.read_key))
    first, second = pair(oidc(token)), pair(oidc(token))

    assert first != second
    assert opens(first[0])
    assert opens(second[0])
    assert oidc(first[1]).status_code == oidc(second[1]).status_code == 200


def test_a_token_that_comes_again_later_ends_its_family(oidc, opens, execute, workspace):
    _, stolen = pair(oidc(workspace.read_key))
    access, good = pair(oidc(stolen))
    elsewhere, other = pair(oidc(workspace.read_key))
    age(execute, workspace, "61 seconds")

    assert refused(oidc(stolen))
    assert refused(oidc(good))
    assert not opens(access)
    assert opens(elsewhere)
    assert oidc(other).status_code == 200
    assert oidc(workspace.read_key).status_code == 200


def test_of_many_exchanges_at_once_none_fails_and_all_are_of_one_family(app, oidc, workspace):
    _, token = pair(oidc(workspace.read_key))
    answers = []

    def exchange():
        form = {"grant_type": "refresh_token", "refresh_token": token}
        answers.append(app.test_client().post(TOKEN, data=form))

    threads = [threading.Thread(target=exchange) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tokens = {pair(answer)[0] for answer in answers}
    families = {jwt.decode(t, options={"verify_signature": False})["sid"] for t in tokens}
    assert (len(tokens), len(families)) == (8, 1)


def test_a_refresh_token_expires(oidc, execute, workspace):
    _, token = pair(oidc(workspace.read_key))
    age(execute, workspace, "31 days")

    assert refused(oidc(token))


def age(execute, workspace, by):
    """Let the refresh tokens of a workspace be older."""
    execute(
        """
        UPDATE refresh_token SET expires_at = expires_at - CAST(:by AS interval),
                                 used_at = used_at - CAST(:by AS interval)
        WHERE family_id IN (SELECT f.id FROM refresh_family AS f
                            JOIN api_key AS k ON k.id = f.api_key_id WHERE workspace_id = :id)
        """,
        by=by,
        id=workspace.id,
    )


def test_expired_tokens_are_forgotten_and_others_kept(database, oidc, execute, workspace):
    _, old = pair(oidc(workspace.read_key))
    age(execute, workspace, "31 days")
    _, young = pair(oidc(workspace.read_key))

    with database.writing() as conn:
        assert refresh.delete_expired_tokens(conn) >= 1
    with database.reading() as conn:
        families = conn.execute(
            text("""
                SELECT count(*) FROM refresh_family AS f JOIN api_key AS k ON k.id = f.api_key_id
                WHERE workspace_id = :id
            """),
            {"id": workspace.id},
        ).scalar()
    assert families == 1
    assert refused(oidc(old))
    assert oidc(young).status_code == 200


def test_an_access_token_that_opened_the_door_expires_all_the_same(
    craft, opens, workspace, monkeypatch
):
    token = craft(workspace.read_key).json["access_token"]
    ends = jwt.decode(token, options={"verify_signature": False})["exp"]
    assert opens(token)

    monkeypatch.setattr(tokens.time, "time", lambda: ends + tokens.LEEWAY_SECONDS - 1)
    assert opens(token)
    monkeypatch.setattr(tokens.time, "time", lambda: ends + tokens.LEEWAY_SECONDS)
    assert not opens(token)


# --- revocation -----------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["revoke_keys", "expire_keys"])
def test_with_its_key_everything_ends(request, craft, oidc, opens, workspace, end):
    by_craft = craft(workspace.read_key).json["access_token"]
    by_oidc, token = pair(oidc(workspace.read_key))
    assert opens(workspace.read_key)
    assert opens(by_craft)
    assert opens(by_oidc)

    request.getfixturevalue(end)()

    assert not opens(workspace.read_key)
    assert not opens(by_craft)
    assert not opens(by_oidc)
    assert refused(oidc(token))
    assert refused(oidc(workspace.read_key))
    assert craft(workspace.read_key).json["message"] == WRONG_KEY


def test_a_key_lasts_as_long_as_it_was_made_for(database, opens, workspace):
    with database.writing() as conn:
        lasting = create_key(conn, workspace.id, Role.READ, lifetime=timedelta(minutes=1))
        over = create_key(conn, workspace.id, Role.READ, lifetime=timedelta(seconds=-1))

    assert opens(lasting)
    assert not opens(over)


def test_a_refresh_token_can_be_revoked(stranger, oidc, opens, workspace):
    access, token = pair(oidc(workspace.read_key))
    other = pair(oidc(workspace.read_key))[0]
    answer = stranger.post(REVOKE, data={"token": token})

    assert answer.status_code == 200
    assert refused(oidc(token))
    assert not opens(access)
    assert opens(other)


def test_revoking_what_is_unknown_reveals_nothing(stranger, oidc, workspace):
    _, token = pair(oidc(workspace.read_key))

    known, unknown = (stranger.post(REVOKE, data={"token": t}) for t in (token, "tlr_unknown"))
    assert (known.status_code, known.data) == (unknown.status_code, unknown.data) == (200, b"{}\n")


def test_a_key_can_not_revoke_itself(stranger, opens, workspace):
    answer = stranger.post(REVOKE, data={"token": workspace.read_key})

    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")
    assert opens(workspace.read_key)
    assert stranger.post(REVOKE, data={"token": "tl_unknown"}).data == answer.data


# --- forged ---------------------------------------------------------------------------------


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


FORGED = {
    "alg none": lambda h, c: f"{encoded(h | {'alg': 'none'})}.{encoded(c)}.",
    "alg none, with a signature": lambda h, c: hmac_signed(h | {"alg": "none"}, c, b""),
    "another secret": lambda h, c: hmac_signed(h, c, b"x" * 32),
    "no secret": lambda h, c: hmac_signed(h, c, b""),
    "a public key as secret": lambda h, c: hmac_signed(h, c, public_pem()),
    "RS256": lambda h, c: jwt.encode(c, OTHER_RSA_KEY, "RS256", headers={"kid": h["kid"]}),
    "unknown secret": lambda h, c: hmac_signed(h | {"kid": "9999"}, c, b"x" * 32),
    "no kid": lambda h, c: hmac_signed({"alg": h["alg"]}, c, b"x" * 32),
    "kid is a list": lambda h, c: hmac_signed(h | {"kid": ["1"]}, c, b"x" * 32),
    "kid with a NUL": lambda h, c: hmac_signed(h | {"kid": "\0"}, c, b"x" * 32),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_token_opens_nothing(app, craft, workspace, forge):
    token = craft(workspace.read_key).json["access_token"]
    forged = forge(jwt.get_unverified_header(token), claims_of(token))

    answer = keyed_client(app, forged).get(LIST)
    assert (answer.status_code, answer.json["message"]) == (401, WRONG_TOKEN)


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"iat": int(time.time()) + 600},
        {"nbf": int(time.time()) + 600},
        {"iss": "another"},
        {"iss": None},
        {"sub": None},
        {"sub": "0"},
        {"sub": "2147483000"},
        {"sid": "0"},
    ],
    ids=[
        "expired",
        "no end",
        "made later",
        "begins later",
        "another issuer",
        "no issuer",
        "nobody",
        "key 0",
        "no such key",
        "another session",
    ],
)
def test_a_token_with_our_signature_has_to_be_valid_too(app, craft, database, workspace, changed):
    token = craft(workspace.read_key).json["access_token"]
    with database.reading() as conn:
        secret = conn.execute(text("SELECT secret FROM signing_secret")).scalar_one()
    said = {n: v for n, v in (claims_of(token) | changed).items() if v is not None}
    made = hmac_signed(jwt.get_unverified_header(token), said, secret)

    answer = keyed_client(app, made).get(LIST)
    assert (answer.status_code, answer.json["message"]) == (401, WRONG_TOKEN)


def test_a_renewed_secret_signs_and_the_old_one_still_verifies_until_it_goes(
    fresh_database_url, shared_settings, craft
):
    """As docs/operations.md has it."""
    app = create_app(replace(shared_settings, database_url=fresh_database_url))
    database = app.extensions["database"]
    with database.writing() as conn:
        key = create_key(conn, 1, Role.READ)

    def token():
        return app.test_client().post(CRAFT, json={"refresh_token": key}).json["access_token"]

    def status(token):
        return keyed_client(app, token).get(LIST).status_code

    old = token()
    with database.writing() as conn:
        conn.execute(text("INSERT INTO signing_secret DEFAULT VALUES"))
    new = token()
    assert (status(old), status(new)) == (200, 200)
    with database.writing() as conn:
        conn.execute(text("DELETE FROM signing_secret WHERE id < 2"))
    assert (status(old), status(new)) == (401, 200)
    database.dispose()


def test_secrets_differ_and_are_as_long_as_the_signature(database):
    with database.writing() as conn:
        made = conn.execute(
            text("INSERT INTO signing_secret DEFAULT VALUES RETURNING id, secret")
        ).one()
        others = conn.execute(text("SELECT secret FROM signing_secret")).scalars().all()
        conn.execute(text("DELETE FROM signing_secret WHERE id = :id"), {"id": made.id})
    assert len(made.secret) == 32
    assert len(set(others)) == len(others) >= 2


# --- without authentication -----------------------------------------------------------------


def test_a_server_that_asks_for_no_key_still_gives_tokens(shared_settings, database, opens):
    """For clients that need them; they are not valid anywhere else."""
    client = create_app(replace(shared_settings, auth=False), database).test_client()

    by_craft = client.post(CRAFT, json={"refresh_token": "any"}).json["access_token"]
    form = {"grant_type": "refresh_token", "refresh_token": "any"}
    by_oidc, kept = pair(client.post(TOKEN, data=form))
    assert kept == "any"
    for token in (by_craft, by_oidc):
        assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", token)
        assert client.get(LIST, headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert not opens(token)
