"""Receivers of messages. Their addresses and secrets are stored apart, and never shown again."""

import base64
import binascii
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from app.errors import InvalidInput, ReceiverInUse, UnknownReceiver
from app.ingest.fields import text_problem

# As Standard Webhooks writes them: this prefix, then 24 to 64 bytes in base64.
SECRET_PREFIX = "whsec_"  # noqa: S105 - no secret
SECRET_BYTES = range(24, 65)
NEW_SECRET_BYTES = 32


class ReceiverUpdate(msgspec.Struct, forbid_unknown_fields=True, rename="camel", frozen=True):
    """Where messages go.

    `webhook`: signed as Standard Webhooks defines it. `alertmanager`: the address of a Prometheus
    Alertmanager, without /api/v2/alerts. Without a secret, a webhook gets a new one, which the
    answer shows once.
    """

    kind: Literal["webhook", "alertmanager"]
    url: Annotated[str, Meta(min_length=1, max_length=2000)]
    secret: Annotated[str, Meta(max_length=200)] | None = None


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver. `host` is the part of its address that is shown.

    `secret` is set in the answer that creates it. `waiting` and `dead` count its messages.
    """

    name: str
    kind: str
    host: str
    created_at: datetime
    waiting: int
    dead: int
    secret: str | None = None


def put_receiver(
    conn: Connection, workspace_id: int, name: str, update: ReceiverUpdate
) -> Receiver:
    """Create a receiver, or replace where it is and what signs its messages.

    Raises:
        InvalidInput: not an address of http or https, or not a secret.
    """
    secret = _secret_of(update)
    row = {
        "workspace": workspace_id,
        "name": name,
        "kind": update.kind,
        "host": _host_of(update.url),
        "url": update.url,
        "secret": secret,
    }
    conn.execute(_PUT, row)
    (stored,) = receivers_of(conn, workspace_id, name)
    shown = update.kind == "webhook" and update.secret is None
    return replace(stored, secret=_shown(secret)) if shown else stored


def _shown(secret: bytes) -> str:
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def _secret_of(update: ReceiverUpdate) -> bytes:
    if update.secret is None:
        return secrets.token_bytes(NEW_SECRET_BYTES)
    try:
        secret = base64.b64decode(update.secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) not in SECRET_BYTES:
        raise InvalidInput(f"secret must be {SECRET_PREFIX} and 24 to 64 bytes in base64")
    return secret


def _host_of(url: str) -> str:
    """The part of an address that is no secret.

    Raises:
        InvalidInput: it isn't an address of http or https.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if text_problem(url) or not url.isprintable() or " " in url:
        raise InvalidInput("url must not contain spaces or control characters")
    if host is None or parts.scheme not in ("http", "https"):
        raise InvalidInput("url must be an address of http or https")
    if parts.username is not None or parts.fragment:
        raise InvalidInput("url must have neither a user nor a fragment")
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def delete_receiver(conn: Connection, workspace_id: int, name: str) -> None:
    """Delete a receiver, and what was not delivered to it yet.

    Raises:
        UnknownReceiver: the workspace has none of this name.
        ReceiverInUse: a monitor tells it.
    """
    try:
        found = conn.execute(_DELETE, {"workspace": workspace_id, "name": name}).one_or_none()
    except IntegrityError:
        raise ReceiverInUse(f"a monitor still tells receiver {name}") from None
    if found is None:
        raise UnknownReceiver(f"no receiver {name}")


def find_receiver(conn: Connection, workspace_id: int, name: str) -> Receiver:
    """A receiver by its name.

    Raises:
        UnknownReceiver: the workspace has none of this name.
    """
    found = receivers_of(conn, workspace_id, name)
    if not found:
        raise UnknownReceiver(f"no receiver {name}")
    return found[0]


def receivers_of(
    conn: Connection, workspace_id: int, name: str | None = None
) -> Sequence[Receiver]:
    """The receivers of a workspace, or the one of this name, by name. Cost: one statement."""
    asked = {"workspace": workspace_id, "name": name}
    return [Receiver(*row) for row in conn.execute(_RECEIVERS, asked)]


_PUT = text("""
    WITH put AS (
        INSERT INTO receiver (workspace_id, name, kind, host)
        VALUES (:workspace, :name, :kind, :host)
        ON CONFLICT (workspace_id, name) DO UPDATE
        SET kind = EXCLUDED.kind, host = EXCLUDED.host
        RETURNING id
    )
    INSERT INTO receiver_secret (receiver_id, url, secret) SELECT id, :url, :secret FROM put
    ON CONFLICT (receiver_id) DO UPDATE SET url = EXCLUDED.url, secret = EXCLUDED.secret
""")
_DELETE = text("""
    DELETE FROM receiver WHERE workspace_id = :workspace AND name = :name RETURNING id
""")
_RECEIVERS = text("""
    SELECT receiver.name, receiver.kind, receiver.host, receiver.created_at,
           count(delivery.id) FILTER (WHERE delivered_at IS NULL AND dead_at IS NULL) AS waiting,
           count(delivery.id) FILTER (WHERE dead_at IS NOT NULL) AS dead
    FROM receiver
    LEFT JOIN delivery ON delivery.receiver_id = receiver.id AND delivered_at IS NULL
    WHERE workspace_id = :workspace AND receiver.name = coalesce(CAST(:name AS text), receiver.name)
    GROUP BY receiver.id
    ORDER BY receiver.name COLLATE "C"
""")
