"""Logging from a running model: never blocks it, never raises in it."""

import itertools
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from truthline.batch import Batch
from truthline.buffer import Counts
from truthline.forks import watch
from truthline.outbox import Kind, Limits, Outbox
from truthline.rows import (
    Label,
    as_detections,
    as_fraction,
    as_label,
    as_scores,
    as_time,
    encode,
)
from truthline.session import Backoff, Session


@dataclass(frozen=True)
class Stats:
    """What became of all that was logged; `last_problem` is empty while all goes well."""

    predictions: Counts
    feedback: Counts
    last_problem: str

    @property
    def total(self) -> Counts:
        """Both together."""
        return self.predictions + self.feedback


class RequestIds:
    """Ids that no other process makes: a random part of this one, and a number."""

    def __init__(self) -> None:
        self.after_fork()
        watch(self)

    def after_fork(self) -> None:
        """Begin anew, or parent and child would give the same."""
        self._prefix = secrets.token_hex(8)
        self._numbers = itertools.count(1)

    def next(self) -> str:
        """A new id."""
        return f"{self._prefix}-{next(self._numbers)}"


class Recorder:
    """The logging half of a `Client`."""

    _session: Session

    def __init__(self, session: Session, limits: Limits, backoff: Backoff) -> None:
        self._session = session
        self._outbox = Outbox(self._deliver, limits, backoff)
        self._ids = RequestIds()

    def log_prediction(
        self,
        model: str,
        *,
        label: Label | None = None,
        scores: Mapping[Any, float] | None = None,
        value: float | None = None,
        detections: Iterable[Mapping[str, Any] | tuple[Label, float]] | None = None,
        confidence: float | None = None,
        error: bool = False,
        request_id: str | None = None,
        batch_index: int | None = None,
        time: datetime | str | None = None,
        latency_seconds: float | None = None,
        namespace: str | None = None,
        pipeline: str | None = None,
        deployment: str | None = None,
        version: str | None = None,
        deployment_type: str | None = None,
        server_version: str | None = None,
    ) -> str:
        """Log what a model answered, and return at once.

        It is sent in the background, see `Limits`. What can't be sent is counted in `stats()` and
        said once in the log; nothing is ever raised.

        Args:
            model: which model; with `namespace` and `pipeline` its full name.
            label: a classifier's answer, with its `confidence` from 0 to 1 if known. Numbers that
                are equal are one label: True, 1 and 1.0 are "1".
            scores: or the probability of each class.
            value: or a regressor's answer.
            detections: or what a detector found, each with label and confidence.
            confidence: of `label`.
            error: the request failed; then there may be no answer.
            request_id: what its truth will name it by; a new one where it isn't given.
            batch_index: which of several answers to the same request.
            time: when it was made, to the microsecond; now, where it isn't given.
            latency_seconds: how long it took.
            namespace: the part of the model's name before the pipeline.
            pipeline: the part of the model's name before the model.
            deployment: where it runs.
            version: of the model.
            deployment_type: what kind of deployment that is.
            server_version: of the software that serves it.

        Returns:
            The request id, to log the truth with.
        """
        id_ = request_id
        try:
            if id_ is None:
                id_ = self._ids.next()
            row = {
                "model": model,
                "namespace": namespace,
                "pipeline": pipeline,
                "deployment": deployment,
                "version": version,
                "requestId": id_,
                "batchIndex": batch_index,
                "time": as_time(time),
                "label": None if label is None else as_label(label),
                "scores": as_scores(scores),
                "value": value,
                "detections": as_detections(detections),
                "confidence": as_fraction(confidence),
                "error": error or None,
                "latencySeconds": latency_seconds,
                "deploymentType": deployment_type,
                "serverVersion": server_version,
            }
            self._outbox.put(Kind.PREDICTIONS, encode(row))
        except Exception as problem:  # noqa: BLE001 - the model goes on, whatever it was
            self._outbox.refuse(Kind.PREDICTIONS, str(problem))
        return id_ or ""

    def log_feedback(
        self,
        model: str,
        request_id: str,
        *,
        label: Label | None = None,
        value: float | None = None,
        batch_index: int | None = None,
        namespace: str | None = None,
        pipeline: str | None = None,
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
                "requestId": request_id,
                "batchIndex": batch_index,
                "label": None if label is None else as_label(label),
                "value": value,
            }
            self._outbox.put(Kind.FEEDBACK, encode(row))
        except Exception as problem:  # noqa: BLE001 - as above
            self._outbox.refuse(Kind.FEEDBACK, str(problem))

    def stats(self) -> Stats:
        """What became of all that this process has logged."""
        return Stats(
            self._outbox.counts(Kind.PREDICTIONS),
            self._outbox.counts(Kind.FEEDBACK),
            self._outbox.last_problem,
        )

    def flush(self, timeout: float | None = None) -> bool:
        """Send what waits, now.

        Returns whether all of it was stored or refused within `timeout` seconds; without one it
        waits as long as it takes.
        """
        return self._outbox.flush(timeout)

    def _deliver(self, kind: Kind, batch: Batch) -> None:
        self._session.once("POST", f"/api/v1/{kind.value}", **batch.request)
