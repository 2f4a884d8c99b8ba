"""Step metrics of training, with the names and behaviour of Craft AI's SDK."""

import math
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypedDict, cast
from urllib.parse import quote
from uuid import uuid4

from truthline.session import Session
from truthline.values import Name, as_name, unpacked

# The first variable that is set names the execution of the process.
EXECUTION_VARIABLES = ("TRUTHLINE_EXECUTION_ID", "CRAFT_AI_EXECUTION_ID")
# Chunk size of Craft AI's SDK, and page size of the server.
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
    """The values of a list of an execution, in the order of recording."""

    values: list[float]


class Steps:
    """The training methods of a `Client`."""

    _session: Session
    # Per client, and per thread or task.
    _execution: ContextVar[str | None]

    @contextmanager
    def execution(
        self,
        execution_id: Name,
        *,
        pipeline: Name | None = None,
        deployment: Name | None = None,
    ) -> Iterator[str]:
        """Set the execution of the values recorded within a `with` statement.

        Args:
            execution_id: id of the execution; metrics with the same id belong together.
            pipeline: pipeline of the execution.
            deployment: deployment of the execution, if any.

        Raises:
            TruthlineError: the server rejected it.
        """
        about = {"pipeline": pipeline, "deployment": deployment}
        given = {name: as_name(value) for name, value in about.items() if value is not None}
        execution_id = as_name(execution_id)
        if given:
            path = f"/api/v1/executions/{_in_path(execution_id)}"
            self._session.patiently(lambda: self._session.once("PUT", path, json=given))
        token = self._execution.set(execution_id)
        try:
            yield execution_id
        finally:
            self._execution.reset(token)

    def record_metric_value(self, name: str, value: float) -> bool:
        """Record a metric of the running execution; the last value is the current one.

        Outside of an execution it warns, sends nothing and returns False.

        Raises:
            ValueError: the value is not a finite number.
            TruthlineError: it was not stored; the subclass states why.
        """
        (number,) = _numbers([value])
        execution = self._running("record_metric_value")
        if execution is None:
            return False
        body = {"value": number, "execution_id": execution}
        self._once_stored("PUT", f"/api/v1/metrics/single-value/{_in_path(name)}", body)
        return True

    def record_list_metric_values(self, name: str, values: Iterable[float] | float) -> bool:
        """Append one or more values to a list of the running execution.

        A list holds at most 50,000 values. Long lists are sent in batches, each stored completely
        or not at all. Outside of an execution it warns, sends nothing and returns False.

        Raises:
            ValueError: a value is not a finite number; nothing is sent.
            TruthlineError: a batch was not stored; the subclass states why. Earlier batches are
                stored, and after `Unreachable` this one may be too: another call appends again.
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
        """Return metrics of executions, filtered by name and by at most one of the others.

        Raises:
            TruthlineError: the query failed; the subclass states why.
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
        """Return lists of executions, filtered by name and by at most one of the others.

        Raises:
            TruthlineError: the query failed; the subclass states why.
        """
        filters = _filters(name, pipeline_name, deployment_name, execution_id)
        return cast("list[ListMetric]", self._all("list-values", filters))

    def _all(self, kind: str, filters: Mapping[str, str | None]) -> list[Any]:
        """Read all pages."""
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
        """Send with retries; the key lets the server recognize them."""
        key = {"Idempotency-Key": uuid4().hex}
        self._session.patiently(lambda: self._session.once(method, path, json=body, headers=key))

    def _running(self, function: str) -> str | None:
        """Return the current execution, if any."""
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
    """Convert to Python numbers.

    Raises:
        TypeError: a value is not a number.
        ValueError: a value is not finite.
    """
    plain = values.tolist() if hasattr(values, "tolist") else list(values)
    numbers = [_number(value) for value in plain]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise TypeError(f"not a number: {number!r}")
        if not abs(number) <= sys.float_info.max:
            raise ValueError("not a finite number, or larger than a double")
    return numbers


def _number(value: Any) -> Any:
    plain = unpacked(value)
    return float(plain) if isinstance(plain, Decimal | Fraction) else plain


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
    """Quote a name as one segment of a path; a segment of dots alone has another meaning."""
    quoted = quote(name, safe="")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")
