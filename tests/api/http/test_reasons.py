"""Why a credential was refused: the log says it, the answer doesn't."""

import logging
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.auth.keys import Role, create_key
from app.factory import create_app
from tests.api.given import SELDON, keyed_client
from tests.api.issuers import AUDIENCE, serving

LIST = f"{SELDON}/pipeline/subscriptions"


@pytest.fixture
def refused(app, caplog):
    """Ask with a credential; the reason that was logged. All answers must be alike."""
    caplog.set_level(logging.INFO)

    def ask(credential, service=app, status=401):
        caplog.clear()
        answer = keyed_client(service, credential).get(LIST)
        assert answer.status_code == status
        (line,) = [r.message for r in caplog.records if r.name == "app.api.http.problems"]
        kind, _, reason = line.partition(": ")
        assert kind in ("Unauthenticated", "Forbidden")
        assert reason not in answer.text
        assert credential not in line
        return reason

    return ask


def test_keys(refused, database, workspace):
    with database.writing() as conn:
        revoked = create_key(conn, workspace.id, Role.READ, name="gone")
        conn.execute(text("UPDATE api_key SET revoked_at = now() WHERE name = 'gone'"))
        expired = create_key(conn, workspace.id, Role.READ, lifetime=timedelta(seconds=-1))

    assert refused("tl_never-made") == "no such key ever existed"
    assert refused(revoked).endswith("was revoked")
    assert refused(expired).endswith("has expired")


def test_tokens_of_ours(refused, app, database, workspace, monkeypatch):
    path = "/api/v1/auth/refresh"
    given = app.test_client().post(path, json={"refresh_token": workspace.read_key})
    token = given.json["access_token"]

    assert "InvalidSignatureError" in refused(
        token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")
    )
    assert "DecodeError" in refused("a.b.c")
    assert "32768 characters" in refused(f"{token}{'x' * 40_000}")
    monkeypatch.setattr("app.auth.tokens.time.time", lambda clock=time.time: clock() + 90_000)
    assert "expired" in refused(token)
    monkeypatch.undo()
    with database.writing() as conn:
        conn.execute(
            text("UPDATE api_key SET revoked_at = now() WHERE workspace_id = :id"),
            {"id": workspace.id},
        )
    assert "not active" in refused(token)


def test_tokens_of_an_issuer(refused, shared_settings, database, workspace):
    with serving() as issuer:
        chosen = {"oidc_issuer": issuer.url, "oidc_audience": AUDIENCE}
        service = create_app(replace(shared_settings, **chosen), database)

        assert "Audience" in refused(issuer.token(workspace.name, aud="x"), service)
        assert "expired" in refused(issuer.token(workspace.name, exp=1), service)
        said = refused(issuer.token("nowhere", ["read"]), service, 403)
        assert said == "the token claims workspace 'nowhere' and roles read"
