"""The queue of messages: claim those that are due, send them, and note what became of each.

A claim is a lease, and a message is due again once it ends. So if the process dies while it sends,
a different one sends it again, with the same id. Messages about one part of a monitor are sent
to a receiver in their order: one that waits for its next attempt delays those after it.
"""

import http.client
import logging
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection, Row, text

from app.config import Settings, networks
from app.errors import Unavailable, with_reason
from app.monitors.addresses import Network, RefusedAddress
from app.monitors.kinds import Message, request_of
from app.monitors.posting import post
from app.store.database import Database

PAUSE_SECONDS = 2.0
AT_ONCE = 8
# Longer than sending can take.
LEASE = timedelta(seconds=60)
MAX_ATTEMPTS = 10
FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=5), timedelta(hours=6)
GROWTH, JITTER = 4, 0.1
KEPT_DONE, KEPT_DEAD = timedelta(days=7), timedelta(days=90)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a message: an empty `error` if it was delivered. `final` forbids a repeat."""

    error: str = ""
    final: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message of which this process has the lease, for this attempt."""

    id: int
    attempts: int
    receiver: str
    message: Message


def run_deliveries(database: Database, settings: Settings, stop: threading.Event) -> None:
    """Deliver what is due, until stopped. It survives outages: it logs."""
    while not stop.is_set():
        try:
            while deliver_due(database, settings) and not stop.is_set():
                pass
        except Unavailable as error:
            _log.warning("deliveries postponed: %s", with_reason(error))
        except Exception:  # noqa: BLE001 - nobody would notice if the thread ended
            _log.exception("deliveries failed; they are tried again")
        stop.wait(PAUSE_SECONDS)


def deliver_due(database: Database, settings: Settings) -> int:
    """Send at most AT_ONCE of the messages that are due. Returns how many it sent, or tried to."""
    with database.writing() as conn:
        asked = {"most": AT_ONCE, "lease": LEASE}
        claimed = [claimed_of(row) for row in conn.execute(_CLAIM, asked)]
    if claimed:
        deliver(database, settings, claimed)
    return len(claimed)


def deliver(database: Database, settings: Settings, claimed: Sequence[Claimed]) -> list[Sent]:
    """Send messages, and note what became of each."""
    allowed = networks(settings.receiver_networks)
    with ThreadPoolExecutor(len(claimed)) as pool:
        sent = list(pool.map(lambda one: send(one.message, allowed), claimed))
    with database.writing() as conn:
        for one, result in zip(claimed, sent, strict=True):
            conn.execute(_NOTE, _note(one, result))
            if result.error:
                _log.warning("message to %s not delivered: %s", one.receiver, result.error)
    return sent


def send(message: Message, allowed: Sequence[Network]) -> Sent:
    """Send a message once."""
    request = request_of(message, datetime.now(UTC))
    if request is None:
        return Sent()
    try:
        status = post(request.url, request.body, request.headers, allowed)
    except RefusedAddress as error:
        return Sent(str(error))
    except TimeoutError:
        return Sent("it did not answer in time")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Sent(f"it can't be reached: {type(error).__name__}")
    if status in range(200, 300):
        return Sent()
    return Sent(f"it answered with {status}", final=status == HTTPStatus.GONE)


def delete_done(conn: Connection) -> int:
    """Delete messages that were delivered or abandoned long ago. Returns how many."""
    return conn.execute(_DELETE_DONE, {"done": KEPT_DONE, "dead": KEPT_DEAD}).rowcount


def delay(attempts: int) -> timedelta:
    """How long to wait after so many attempts."""
    wanted = min(FIRST_DELAY * float(GROWTH ** (attempts - 1)), LONGEST_DELAY)
    return wanted * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret


def claimed_of(row: Row[Any]) -> Claimed:
    """A message with its lease, from the columns `CLAIMED`."""
    message = Message(row.message_id, row.body, row.kind, row.url, bytes(row.secret))
    return Claimed(row.id, row.attempts, row.name, message)


def _note(one: Claimed, result: Sent) -> dict[str, Any]:
    gives_up = bool(result.error) and (result.final or one.attempts >= MAX_ATTEMPTS)
    return {
        "id": one.id,
        "attempts": one.attempts,
        "error": result.error,
        "delivered": not result.error,
        "dead": gives_up,
        "delay": delay(one.attempts),
    }


CLAIMED = "delivery.id, message_id, delivery.body, delivery.attempts, name, kind, url, secret"
# Only the first of those that wait is claimed, of each part of a monitor and receiver.
_CLAIM = text(f"""
    WITH due AS (
        SELECT id FROM delivery
        WHERE delivered_at IS NULL AND dead_at IS NULL AND due_at <= clock_timestamp()
          AND NOT EXISTS (
              SELECT FROM delivery AS earlier
              WHERE earlier.receiver_id = delivery.receiver_id
                AND earlier.monitor_id = delivery.monitor_id AND earlier.part = delivery.part
                AND earlier.id < delivery.id
                AND earlier.delivered_at IS NULL AND earlier.dead_at IS NULL)
        ORDER BY due_at LIMIT :most
        FOR UPDATE SKIP LOCKED
    )
    UPDATE delivery SET due_at = clock_timestamp() + :lease, attempts = attempts + 1
    FROM due, receiver JOIN receiver_secret ON receiver_id = receiver.id
    WHERE delivery.id = due.id AND receiver.id = delivery.receiver_id
    RETURNING {CLAIMED}
""")
# A lease that has ended may be another's by now: the attempts tell.
_NOTE = text("""
    UPDATE delivery
    SET error = :error, due_at = clock_timestamp() + :delay,
        delivered_at = CASE WHEN :delivered THEN clock_timestamp() END,
        dead_at = CASE WHEN :dead THEN clock_timestamp() END
    WHERE id = :id AND delivered_at IS NULL AND (attempts = :attempts OR :delivered)
""")
_DELETE_DONE = text("""
    DELETE FROM delivery
    WHERE delivered_at < clock_timestamp() - :done OR dead_at < clock_timestamp() - :dead
""")
