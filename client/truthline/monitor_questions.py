"""Define monitors and receivers, and query what they found."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from truthline.monitors import (
    Monitor,
    MonitorHistory,
    Monitors,
    MonitorTest,
    Receiver,
    Receivers,
    ReceiverTest,
)
from truthline.questions import Instant, Questions
from truthline.values import Name, as_name
from truthline.wire import decode, rfc3339, to_wire

_MONITORS, _RECEIVERS = "/api/v1/monitors", "/api/v1/receivers"


class MonitorQuestions(Questions):
    """The methods of a `Client` about monitors. Those that change something need an admin key."""

    def monitors(self) -> tuple[Monitor, ...]:
        """All monitors of the workspace, and where their parts stand.

        Raises:
            TruthlineError: the query failed; the subclass states why.
        """
        return decode(Monitors, self._session.get(_MONITORS)).monitors or ()

    def monitor(self, name: Name) -> Monitor:
        """One monitor, and where its parts stand.

        Raises:
            NotFound: the workspace has no monitor of this name.
            TruthlineError: the query failed; the subclass states why.
        """
        return decode(Monitor, self._session.get(_path(_MONITORS, name)))

    def put_monitor(self, name: Name, definition: Mapping[str, Any]) -> Monitor:
        """Create a monitor, or change it.

        Args:
            name: name of the monitor.
            definition: its members as in the API, such as `{"model": "fraud", "metric": "accuracy",
                "window": "1h", "compare": {"with": "value", "value": 0.9}, "rule": {"is":
                "below"}}`. Times may be datetimes.

        Raises:
            InvalidRequest: the definition contradicts itself, or names an unknown receiver.
            TruthlineError: the request failed; the subclass states why.
        """
        body = _on_wire(definition)
        return decode(Monitor, self._put(_path(_MONITORS, name), body))

    def delete_monitor(self, name: Name) -> None:
        """Delete a monitor with its verdicts. Receivers get the end of what fires.

        Raises:
            NotFound: the workspace has no monitor of this name.
            TruthlineError: the request failed; the subclass states why.
        """
        self._session.once("DELETE", _path(_MONITORS, name))

    def monitor_history(
        self,
        name: Name,
        *,
        as_of: Instant | None = None,
        before: Instant | None = None,
        limit: int = 100,
    ) -> MonitorHistory:
        """The last verdict on each window of a monitor.

        Args:
            name: name of the monitor.
            as_of: return what was known at this moment.
            before: only windows that end earlier: continues an earlier answer by its `before`.
            limit: number of windows, at most 1000.

        Raises:
            NotFound: the workspace has no monitor of this name.
            TruthlineError: the query failed; the subclass states why.
        """
        asked = {"asOf": to_wire(as_of, "as_of"), "before": to_wire(before, "before")}
        path = _path(_MONITORS, name) + "/history"
        return decode(MonitorHistory, self._session.get(path, {**asked, "limit": limit}))

    def test_monitor(self, name: Name) -> tuple[ReceiverTest, ...]:
        """Send a test to each receiver of a monitor.

        Raises:
            NotFound: the workspace has no monitor of this name.
            TruthlineError: the request failed; the subclass states why.
        """
        answer = self._session.once("POST", _path(_MONITORS, name) + "/test")
        return decode(MonitorTest, answer).results or ()

    def receivers(self) -> tuple[Receiver, ...]:
        """All receivers of the workspace, without their addresses and secrets.

        Raises:
            TruthlineError: the query failed; the subclass states why.
        """
        return decode(Receivers, self._session.get(_RECEIVERS)).receivers or ()

    def put_receiver(
        self,
        name: Name,
        kind: Literal["webhook", "alertmanager"],
        url: str,
        *,
        secret: str | None = None,
    ) -> Receiver:
        """Create a receiver, or replace its address and secret.

        Args:
            name: name of the receiver, which monitors list in `notify`.
            kind: `webhook`, signed as Standard Webhooks defines it, or `alertmanager`.
            url: its address, which is never shown again.
            secret: signs messages of a webhook; default: a new one, which the answer shows.

        Raises:
            InvalidRequest: the address or the secret is invalid.
            TruthlineError: the request failed; the subclass states why.
        """
        body = {"kind": kind, "url": url} | ({} if secret is None else {"secret": secret})
        return decode(Receiver, self._put(_path(_RECEIVERS, name), body))

    def delete_receiver(self, name: Name) -> None:
        """Delete a receiver, and what was not delivered to it yet.

        Raises:
            NotFound: the workspace has no receiver of this name.
            InvalidRequest: a monitor still notifies it.
            TruthlineError: the request failed; the subclass states why.
        """
        self._session.once("DELETE", _path(_RECEIVERS, name))

    def _put(self, path: str, body: Mapping[str, Any]) -> Any:
        """Put a body. It may be put twice, so it is retried like a query."""
        return self._session.patiently(lambda: self._session.once("PUT", path, json=body))


def _path(of: str, name: Name) -> str:
    return f"{of}/{quote(as_name(name), safe='')}"


def _on_wire(value: Any) -> Any:
    """A definition as JSON: datetimes as text."""
    if isinstance(value, Mapping):
        return {name: _on_wire(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_on_wire(item) for item in value]
    return rfc3339(value, "a time") if isinstance(value, datetime) else value
