"""How each kind of receiver is notified: its address, its headers and its body."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from app.monitors.definition import FIRING
from app.monitors.messages import VERDICT, utc

JSON = {"Content-Type": "application/json", "User-Agent": "Truthline"}
# An alert without an end ends after five minutes by itself. This one ends with a message.
ALERT_LASTS = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent to a receiver. `id` is the same each time it is sent."""

    id: UUID
    body: Mapping[str, Any]
    kind: str
    url: str
    secret: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """What is posted."""

    url: str
    headers: Mapping[str, str]
    body: bytes


def request_of(message: Message, now: datetime) -> Request | None:
    """What is posted at this moment; None if this kind of receiver has no use for the message."""
    return _KINDS[message.kind](message, now)


def _webhook(message: Message, now: datetime) -> Request:
    """As Standard Webhooks defines it: https://www.standardwebhooks.com."""
    body = msgspec.json.encode(message.body)
    id_, timestamp = f"msg_{message.id.hex}", str(int(now.timestamp()))
    signed = b".".join([id_.encode(), timestamp.encode(), body])
    signature = base64.b64encode(hmac.digest(message.secret, signed, hashlib.sha256)).decode()
    headers = {
        "webhook-id": id_,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }
    return Request(message.url, {**JSON, **headers}, body)


def _alertmanager(message: Message, _now: datetime) -> Request | None:
    """One alert per part of a monitor. Revisions of earlier windows change no alert."""
    data = message.body["data"]
    if message.body["type"] == VERDICT and not data["isLatest"]:
        return None
    as_of = datetime.fromisoformat(data["asOf"])
    fires = data["state"] in FIRING
    labels = {
        "alertname": data["monitor"],
        **{
            name: data[name]
            for name in ("severity", "namespace", "pipeline", "model", "metric", "part")
            if data.get(name)
        },
    }
    alert = {
        "labels": labels,
        "annotations": {"summary": summary(data), "description": data["reason"]},
        "startsAt": data["endTime"],
        "endsAt": utc(as_of + ALERT_LASTS) if fires else data["asOf"],
        **({"generatorURL": data["url"]} if "url" in data else {}),
    }
    url = f"{message.url.rstrip('/')}/api/v2/alerts"
    return Request(url, JSON, msgspec.json.encode([alert]))


def summary(data: Mapping[str, Any]) -> str:
    """A verdict in a line."""
    part = f" ({data['part']})" if data["part"] else ""
    value = "" if data["value"] is None else f" is {data['value']:.4g}"
    return f"{data['model']}{part}: {data['metric']}{value}, {data['state']}"


_KINDS: Mapping[str, Callable[[Message, datetime], Request | None]] = {
    "webhook": _webhook,
    "alertmanager": _alertmanager,
}
