"""Send events to a running server through its public API, each when its time comes.

`replaying` starts `python -m app.demo.live`, a process of its own, which reads its plan from
standard input and ends with the process that started it.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

import msgspec

from app.demo.lesson import Trained
from app.demo.story import Story, hour_of
from app.demo.timeline import LONGEST_WAIT, Event, events_by_hour
from app.ingest.inferences import Prediction

PAUSE_SECONDS = 2.0
TIME_LIMIT_SECONDS = 30
REJECTED = range(400, 500)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send where: the events of a story that arrive from `since` on."""

    host: str
    port: int
    started: datetime
    since: datetime
    models: Sequence[Trained]
    parent: int  # id of the process that this one ends with


@contextmanager
def replaying(plan: Plan) -> Iterator[None]:
    """Send the events until this context is left."""
    command = [sys.executable, "-m", "app.demo.live"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert process.stdin  # noqa: S101 - for the type checker
    with process.stdin as plans:
        plans.write(msgspec.json.encode(plan))
    try:
        yield
    finally:
        if os.getpid() == plan.parent:  # a worker process leaves this context too when it exits
            process.terminate()
            process.wait()


def replay(plan: Plan, go_on: Callable[[], bool]) -> None:
    """Send what is due, then wait, as long as `go_on` returns true.

    A batch that couldn't be sent is sent again: the server recognizes what it has stored.
    """
    story = Story(plan.started)
    first = max(story.beginning, hour_of(plan.since - LONGEST_WAIT))
    for events in events_by_hour(plan.models, story, first):
        waiting = deque(event for event in events if event.arrival >= plan.since)
        while waiting and go_on():
            due = [event for event in waiting if event.arrival <= datetime.now(UTC)]
            if due and _send(plan, due):
                for _ in due:
                    waiting.popleft()
        if waiting:
            return


def _send(plan: Plan, events: Sequence[Event]) -> bool:
    """Whether events need not be sent again; predictions go first, because truths refer to them."""
    predictions = [event.row for event in events if isinstance(event.row, Prediction)]
    truths = [event.row for event in events if not isinstance(event.row, Prediction)]
    return _post(plan, "predictions", predictions) and _post(plan, "feedback", truths)


def _post(plan: Plan, name: str, rows: Sequence[msgspec.Struct]) -> bool:
    if not rows:
        return True
    connection = HTTPConnection(plan.host, plan.port, timeout=TIME_LIMIT_SECONDS)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", f"/api/v1/{name}", msgspec.json.encode({name: rows}), headers)
        answer = connection.getresponse()
    except (OSError, HTTPException):
        return False
    else:
        if answer.status in REJECTED:
            _log.warning("the demo's %s were rejected: %s", name, answer.read())
        return answer.status == HTTPStatus.OK or answer.status in REJECTED
    finally:
        connection.close()


def main() -> None:
    """Read the plan, and replay until the process that started this one has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the server, which then ends this one
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)

    def go_on() -> bool:
        time.sleep(PAUSE_SECONDS)
        return os.getppid() == plan.parent

    replay(plan, go_on)


if __name__ == "__main__":
    main()
