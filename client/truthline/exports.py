"""Export: all predictions or truths, into a file or as tables of Arrow and pandas."""

import io
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from truthline.extras import extra
from truthline.questions import Instant, label_of, period_of
from truthline.session import Session
from truthline.values import Label, Name, Tags, as_name, tag_filter
from truthline.wire import to_wire

if TYPE_CHECKING:  # packages that need not be there
    import pandas as pd

Format = Literal["ndjson", "csv", "parquet", "arrow"]
_SUFFIXES: Mapping[str, Format] = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".csv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
}


class Export:
    """Rows of one moment, oldest first, of any number. Each method asks the server anew.

    Raises:
        TruthlineError: the export failed, or broke off; the subclass states why.
    """

    def __init__(self, session: Session, path: str, asked: Mapping[str, Any]) -> None:
        self._session = session
        self._path = path
        self._asked = asked

    def save(self, path: str | os.PathLike[str], format: Format | None = None) -> Path:  # noqa: A002 - as pandas'
        """Write a file, and return its path. If the export fails, there is no file of this name.

        Args:
            path: where; a file that is there is replaced once the new one is complete.
            format: `ndjson`, `csv`, `parquet` or `arrow`; default: that of the suffix.

        Raises:
            ValueError: the suffix stands for none of them.
        """
        target = Path(path)
        chosen = format or _SUFFIXES.get(target.suffix)
        if chosen is None:
            raise ValueError(f"name a format: {target.suffix!r} is not one of {[*_SUFFIXES]}")
        with _replacing(target) as file, self._opened(chosen) as parts:
            for part in parts:
                file.write(part)
        return target

    def batches(self) -> Iterator[Any]:
        """Yield `pyarrow.RecordBatch`es, of which one at a time is in memory."""
        pyarrow = extra("pyarrow", "arrow")
        with self._opened("arrow") as parts:
            source = _Source(parts)
            try:
                with pyarrow.ipc.open_stream(io.BufferedReader(source)) as reader:
                    yield from reader
            except Exception:
                if source.error is not None:
                    raise source.error from None
                raise

    def to_arrow(self) -> Any:
        """Return all rows as a `pyarrow.Table`."""
        pyarrow = extra("pyarrow", "arrow")
        with self._opened("arrow") as parts:
            return pyarrow.ipc.open_stream(b"".join(parts)).read_all()

    def to_pandas(self) -> "pd.DataFrame":
        """Return all rows as a DataFrame."""
        extra("pandas", "pandas")
        return cast("pd.DataFrame", self.to_arrow().to_pandas())

    @contextmanager
    def _opened(self, chosen: Format) -> Iterator[Iterator[bytes]]:
        with self._session.streaming(self._path, {**self._asked, "format": chosen}) as parts:
            yield parts


@contextmanager
def _replacing(target: Path) -> Iterator[Any]:
    """Yield a file that gets its name once the block succeeds."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


class _Source(io.RawIOBase):
    """Parts of a response as a file; keeps the error that breaks it off, which Arrow replaces."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = b""
        self.error: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            while not self._rest:
                self._rest = next(self._parts)
        except StopIteration:
            return 0
        except Exception as error:
            self.error = error
            raise
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


class Exports:
    """The export methods of a `Client`."""

    _session: Session

    def export_predictions(
        self,
        model: Name | None = None,
        *,
        start: Instant | None = None,
        end: Instant | None = None,
        received_from: Instant | None = None,
        received_until: Instant | None = None,
        predicted_label: Label | None = None,
        actual_label: Label | None = None,
        wrong: bool | None = None,
        min_error: float | None = None,
        unlabelled: bool | None = None,
        failed: bool | None = None,
        min_confidence: float | None = None,
        max_confidence: float | None = None,
        namespace: Name | None = None,
        pipeline: Name | None = None,
        deployment: Name | None = None,
        version: Name | None = None,
        tags: Tags | None = None,
        as_of: Instant | None = None,
        loadable: bool = False,
    ) -> Export:
        """All predictions with their truths; nothing is asked before the result is used.

        Args:
            model: name of the model; default: all models.
            start: start of the window, inclusive; default: the first prediction.
            end: end of the window, exclusive; default: the last prediction.
            received_from: include only what was stored then or later.
            received_until: include only what was stored before.
            predicted_label: include only this output.
            actual_label: include only this truth.
            wrong: include only those whose classes differ, or only those where they are equal.
            min_error: include only those whose value differs from the truth by this or more.
            unlabelled: include only those without a truth, or only those with one.
            failed: include only failed requests, or only the others.
            min_confidence: least confidence.
            max_confidence: greatest confidence.
            namespace: namespace of the model; default: empty, or any without a model.
            pipeline: pipeline of the model; as the namespace.
            deployment: include only predictions of this deployment.
            version: include only predictions of this version.
            tags: include only predictions with these tags, as in `classification_metrics`.
            as_of: return what was known at this moment.
            loadable: have exactly the columns that `send_predictions` takes.
        """
        return self._export(
            "predictions",
            {"model": model, "namespace": namespace, "pipeline": pipeline}
            | {"deployment": deployment, "version": version},
            tags,
            {
                **period_of(start, end),
                "receivedFrom": to_wire(received_from, "received_from"),
                "receivedUntil": to_wire(received_until, "received_until"),
                "predictedLabel": label_of(predicted_label),
                "actualLabel": label_of(actual_label),
                "wrong": wrong,
                "minError": min_error,
                "unlabelled": unlabelled,
                "failed": failed,
                "minConfidence": min_confidence,
                "maxConfidence": max_confidence,
                "asOf": to_wire(as_of, "as_of"),
                "loadable": loadable or None,
            },
        )

    def export_outcomes(
        self,
        model: Name | None = None,
        *,
        start: Instant | None = None,
        end: Instant | None = None,
        received_from: Instant | None = None,
        received_until: Instant | None = None,
        predicted_label: Label | None = None,
        actual_label: Label | None = None,
        wrong: bool | None = None,
        min_error: float | None = None,
        min_confidence: float | None = None,
        max_confidence: float | None = None,
        namespace: Name | None = None,
        pipeline: Name | None = None,
        deployment: Name | None = None,
        version: Name | None = None,
        tags: Tags | None = None,
        as_of: Instant | None = None,
        loadable: bool = False,
    ) -> Export:
        """All predictions whose truth is known; nothing is asked before the result is used.

        As `export_predictions`; `received_from` and `received_until` are of the truth, and with
        `loadable` the columns are those that `send_feedback` takes.
        """
        return self._export(
            "outcomes",
            {"model": model, "namespace": namespace, "pipeline": pipeline}
            | {"deployment": deployment, "version": version},
            tags,
            {
                **period_of(start, end),
                "receivedFrom": to_wire(received_from, "received_from"),
                "receivedUntil": to_wire(received_until, "received_until"),
                "predictedLabel": label_of(predicted_label),
                "actualLabel": label_of(actual_label),
                "wrong": wrong,
                "minError": min_error,
                "minConfidence": min_confidence,
                "maxConfidence": max_confidence,
                "asOf": to_wire(as_of, "as_of"),
                "loadable": loadable or None,
            },
        )

    def _export(
        self,
        kind: str,
        names: Mapping[str, Name | None],
        tags: Tags | None,
        asked: Mapping[str, Any],
    ) -> Export:
        named = {name: None if value is None else as_name(value) for name, value in names.items()}
        parameters = {**named, "tag": tag_filter(tags) or None, **asked}
        given = {name: value for name, value in parameters.items() if value is not None}
        return Export(self._session, f"/api/v1/export/{kind}", given)
