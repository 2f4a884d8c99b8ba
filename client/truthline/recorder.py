"""Logging from a running model, without blocking or raising."""

import itertools
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from truthline.batch import Batch
from truthline.buffer import Counts
from truthline.forks import watch
from truthline.outbox import Kind, Limits, Outbox
from truthline.rows import FEEDBACK, PREDICTIONS, as_time, encode
from truthline.session import Backoff, Session
from truthline.values import Label, Name, Seconds, as_name, converted, members
from truthline.wire import camel


@dataclass(frozen=True)
class Stats:
    """Numbers of all logged rows; `last_problem` is empty if there was none."""

    predictions: Counts
    feedback: Counts
    last_problem: str

    @property
    def total(self) -> Counts:
        """Sum of both."""
        return self.predictions + self.feedback


class RequestIds:
    """Generates ids that are unique across processes: a random prefix and a number."""

    def __init__(self) -> None:
        self.after_fork()
        watch(self)

    def after_fork(self) -> None:
        """Use a new prefix, so that parent and child never generate the same id."""
        self._prefix = secrets.token_hex(8)
        self._numbers = itertools.count(1)

    def next(self) -> str:
        """A new id."""
        return f"{self._prefix}-{next(self._numbers)}"


class Recorder:
    """The logging methods of a `Client`."""

    _session: Session

    def __init__(self, session: Session, limits: Limits, backoff: Backoff) -> None:
        self._session = session
        self._outbox = Outbox(self._deliver, limits, backoff)
        self._ids = RequestIds()

    def log_prediction(
        self,
        model: Name,
        *,
        label: Label | None = None,
        scores: Mapping[Any, float] | None = None,
        value: float | None = None,
        detections: Iterable[Mapping[str, Any] | tuple[Label, float]] | None = None,
        confidence: float | None = None,
        error: bool = False,
        request_id: Name | None = None,
        batch_index: int | None = None,
        time: datetime | str | None = None,
        latency_seconds: Seconds | None = None,
        namespace: Name | None = None,
        pipeline: Name | None = None,
        deployment: Name | None = None,
        version: Name | None = None,
        deployment_type: Name | None = None,
        server_version: Name | None = None,
        tags: Mapping[Any, Any] | None = None,
    ) -> str:
        """Log a prediction and return immediately.

        It is sent in the background, see `Limits`. A row that can't be sent is counted in `stats()`
        and logged once; nothing is ever raised.

        Args:
            model: name of the model.
            label: predicted class. Equal numbers are the same label: True, 1 and 1.0 are "1".
            scores: or the probability of each class.
            value: or the predicted number.
            detections: or the detected objects, each with label and confidence.
            confidence: probability of `label`, from 0 to 1.
            error: whether the request failed; the output is then optional.
            request_id: id that the truth references: a text, a whole number or a UUID; default: a
                generated id.
            batch_index: index of this prediction within the request.
            time: when the prediction was made, in microseconds; default: now.
            latency_seconds: duration of the request, in seconds or as a timedelta.
            namespace: namespace of the model.
            pipeline: pipeline of the model.
            deployment: name of the deployment.
            version: version of the model.
            deployment_type: type of the deployment.
            server_version: version of the serving software.
            tags: up to 8 keys and values to compare predictions by, like `{"country": "FR"}`: of
                few different values, because each combination is counted by itself.

        Returns:
            The request id as text, to log the truth with.
        """
        id_ = ""
        try:
            given = request_id is not None
            id_ = converted(as_name, "request_id", request_id) if given else self._ids.next()
            row = {
                "model": model,
                "namespace": namespace,
                "pipeline": pipeline,
                "deployment": deployment,
                "version": version,
                "request_id": id_,
                "batch_index": batch_index,
                "time": as_time(None) if time is None else time,
                "label": label,
                "scores": scores,
                "value": value,
                "detections": detections,
                "confidence": confidence,
                "error": error or None,
                "latency_seconds": latency_seconds,
                "deployment_type": deployment_type,
                "server_version": server_version,
                "tags": tags,
            }
            self._outbox.put(Kind.PREDICTIONS, _encoded(row, PREDICTIONS))
        except Exception as problem:  # noqa: BLE001 - no error may reach the model
            self._outbox.refuse(Kind.PREDICTIONS, str(problem))
        return id_

    def log_feedback(
        self,
        model: Name,
        request_id: Name,
        *,
        label: Label | None = None,
        value: float | None = None,
        batch_index: int | None = None,
        namespace: Name | None = None,
        pipeline: Name | None = None,
    ) -> None:
        """Log what turned out true of a prediction, and return at once.

        As `log_prediction`, it is sent in the background and never raises. A later truth of the
        same prediction replaces the earlier one; a truth may also come before its prediction.

        Args:
            model: which model; with `namespace` and `pipeline` its full name.
            request_id: of the prediction.
            label: the class it should have been.
            value: or the number.
            batch_index: which of several answers to the same request.
            namespace: as in the prediction.
            pipeline: as in the prediction.
        """
        try:
            row = {
                "model": model,
                "namespace": namespace,
                "pipeline": pipeline,
                "request_id": request_id,
                "batch_index": batch_index,
                "label": label,
                "value": value,
            }
            self._outbox.put(Kind.FEEDBACK, _encoded(row, FEEDBACK))
        except Exception as problem:  # noqa: BLE001 - as above
            self._outbox.refuse(Kind.FEEDBACK, str(problem))

    def stats(self) -> Stats:
        """Return the numbers of all rows that this process has logged."""
        return Stats(
            self._outbox.counts(Kind.PREDICTIONS),
            self._outbox.counts(Kind.FEEDBACK),
            self._outbox.last_problem,
        )

    def flush(self, timeout: float | None = None) -> bool:
        """Send queued rows now.

        Returns whether all of them were stored or refused within `timeout` seconds; without a
        timeout it waits until they are.
        """
        return self._outbox.flush(timeout)

    def _deliver(self, kind: Kind, batch: Batch) -> None:
        self._session.once("POST", f"/api/v1/{kind.value}", **batch.request)


def _encoded(row: Mapping[str, Any], converts: Mapping[str, Callable[[Any], Any]]) -> bytes:
    return encode({camel(name): value for name, value in members(row, converts).items()})
