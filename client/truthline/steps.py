"""What training records of itself, under the names and meanings of Craft AI's SDK."""

import math
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypedDict, cast
from urllib.parse import quote
from uuid import uuid4

from truthline.session import Session

# The first that is set says which execution a process is.
EXECUTION_VARIABLES = ("TRUTHLINE_EXECUTION_ID", "CRAFT_AI_EXECUTION_ID")
# As Craft's SDK cuts lists; a page is as long as the server makes it.
LIST_BATCH, PAGE_SIZE = 10_000, 5_000


class _Metric(TypedDict):
    name: str
    created_at: str
    execution_id: str
    deployment_name: str | None
    pipeline_name: str


class StepMetric(_Metric):
    """The last value of a metric of an execution."""

    value: float


class ListMetric(_Metric):
    """The values of a list of an execution, in the order in which they were recorded."""

    values: list[float]


class Steps:
    """The training half of a `Client`."""

    _session: Session
    # Of this client alone, and of this thread or task.
    _execution: ContextVar[str | None]

    @contextmanager
    def execution(
        self, execution_id: str, *, pipeline: str | None = None, deployment: str | None = None
    ) -> Iterator[str]:
        """Be an execution, within a `with` statement; what is recorded there belongs to it.

        Args:
            execution_id: names it; metrics of the same id belong together.
            pipeline: which pipeline it is of.
            deployment: which deployment it ran for, if for any.

        Raises:
            TruthlineError: the server doesn't take it.
        """
        about = {"pipeline": pipeline, "deployment": deployment}
        given = {name: value for name, value in about.items() if value is not None}
        if given:
            path = f"/api/v1/executions/{_in_path(execution_id)}"
            self._session.patiently(lambda: self._session.once("PUT", path, json=given))
        token = self._execution.set(execution_id)
        try:
            yield execution_id
        finally:
            self._execution.reset(token)

    def record_metric_value(self, name: str, value: float) -> bool:
        """Record a metric of the running execution; of several values the last one stands.

        Outside of an execution it warns, sends nothing and returns False.

        Raises:
            ValueError: the value is not a finite number.
            TruthlineError: the server doesn't take it, and which error says why.
        """
        (number,) = _numbers([value])
        execution = self._running("record_metric_value")
        if execution is None:
            return False
        body = {"value": number, "execution_id": execution}
        self._once_stored("PUT", f"/api/v1/metrics/single-value/{_in_path(name)}", body)
        return True

    def record_list_metric_values(self, name: str, values: Iterable[float] | float) -> bool:
        """Append values, or one, to a list of the running execution.

        A list holds at most 50,000 values. Long ones are sent in batches, each stored whole or not
        at all. Outside of an execution it warns, sends nothing and returns False.

        Raises:
            ValueError: a value is not a finite number; nothing is sent.
            TruthlineError: the server doesn't take them, and which error says why. Batches before
                are stored, and this one may be, if no answer came: another call appends again.
        """
        numbers = _numbers(values if isinstance(values, Iterable) else [values])
        execution = self._running("record_list_metric_values")
        if execution is None:
            return False
        path = f"/api/v1/metrics/list-values/{_in_path(name)}"
        for start in range(0, len(numbers), LIST_BATCH):
            body = {"values": numbers[start : start + LIST_BATCH], "execution_id": execution}
            self._once_stored("POST", path, body)
        return True

    def get_metrics(
        self,
        name: str | None = None,
        pipeline_name: str | None = None,
        deployment_name: str | None = None,
        execution_id: str | None = None,
    ) -> list[StepMetric]:
        """Metrics of executions: all of them, or those of a name and of one of the others.

        Raises:
            TruthlineError: there is no answer, and which error says why.
        """
        filters = _filters(name, pipeline_name, deployment_name, execution_id)
        return cast("list[StepMetric]", self._all("single-value", filters))

    def get_list_metrics(
        self,
        name: str | None = None,
        pipeline_name: str | None = None,
        deployment_name: str | None = None,
        execution_id: str | None = None,
    ) -> list[ListMetric]:
        """Lists of executions: all of them, or those of a name and of one of the others.

        Raises:
            TruthlineError: there is no answer, and which error says why.
        """
        filters = _filters(name, pipeline_name, deployment_name, execution_id)
        return cast("list[ListMetric]", self._all("list-values", filters))

    def _all(self, kind: str, filters: Mapping[str, str | None]) -> list[Any]:
        """Page by page, until there are no more."""
        found: list[Any] = []
        page, total = 1, math.inf
        while len(found) < total:
            asked = {**filters, "items_per_page": PAGE_SIZE, "page": page}
            answer = self._session.get(f"/api/v1/metrics/{kind}", asked)
            if not answer["metrics"]:
                break
            found += answer["metrics"]
            page, total = page + 1, answer["total_count"]
        return found

    def _once_stored(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        """Send until it is answered; the key tells the server which tries are the same."""
        key = {"Idempotency-Key": uuid4().hex}
        self._session.patiently(lambda: self._session.once(method, path, json=body, headers=key))

    def _running(self, function: str) -> str | None:
        """The execution that this is, if it is one."""
        named = self._execution.get() or next(
            filter(None, map(os.environ.get, EXECUTION_VARIABLES)), None
        )
        if named is None:
            warnings.warn(
                f"{function} was called outside of an execution, so nothing was sent; use"
                f" client.execution(...) or set {EXECUTION_VARIABLES[0]}",
                stacklevel=3,
            )
        return named


def _numbers(values: Iterable[float]) -> list[float]:
    """Numbers as Python's own.

    Raises:
        TypeError: one of them is no number.
        ValueError: one of them isn't finite.
    """
    plain = values.tolist() if hasattr(values, "tolist") else list(values)
    numbers = [value.item() if hasattr(value, "item") else value for value in plain]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise TypeError(f"not a number: {number!r}")
        if not abs(number) <= sys.float_info.max:
            raise ValueError("not a finite number, or larger than a double")
    return numbers


def _filters(
    name: str | None, pipeline: str | None, deployment: str | None, execution: str | None
) -> dict[str, str | None]:
    return {
        "filters[name]": name,
        "filters[pipeline_name]": pipeline,
        "filters[deployment_name]": deployment,
        "filters[execution_id]": execution,
    }


def _in_path(name: str) -> str:
    """A name as one segment of a path; dots alone would lead elsewhere."""
    quoted = quote(name, safe="")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")
