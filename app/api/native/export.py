"""Native export: all predictions, or all truths, as NDJSON, CSV, Arrow or Parquet."""

import errno
import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from itertools import chain
from typing import Any, TypeVar

from flask import Response
from marshmallow import RAISE, fields, validate

from app.api.http.access import needs
from app.api.http.answers import Blueprint
from app.api.http.basis import AS_OF
from app.api.http.columns import ARROW, CSV, NDJSON, PARQUET, Block
from app.api.http.numbers import utc_time
from app.api.http.parameters import Instant, Text
from app.api.http.query_limiter import admit_export
from app.api.http.tables import accepted, writer_of
from app.api.native.export_tables import Rows, table_of
from app.api.native.metrics import scope_of
from app.api.native.requests import FilterArgs, filter_of, window_of
from app.api.native.tags import TagArgs
from app.auth.keys import Role
from app.errors import InvalidInput, TruthlineError, with_reason
from app.query.export import Export, Models, Received, Wanted
from app.query.subjects import Scope
from app.query.tags import TagFilter
from app.running import database

View = TypeVar("View", bound=Callable[..., Any])
FORMATS = {"ndjson": NDJSON, "csv": CSV, "parquet": PARQUET, "arrow": ARROW}
KEPT_SINCE = "Truthline-Kept-Since"
RECEIVED = "received"

_log = logging.getLogger(__name__)
blp = Blueprint("export", __name__, url_prefix="/api/v1/export", description="Rows out, in bulk")


class ExportArgs(FilterArgs, TagArgs):
    """What is exported, and how."""

    namespace = Text(metadata={"description": "Absent: empty with a model, any without"})
    pipeline = Text(metadata={"description": "Absent: empty with a model, any without"})
    model = Text(
        validate=validate.Length(min=1, error="must not be empty"),
        metadata={"description": "Absent: all models"},
    )
    deployment = Text(metadata={"description": "Only this deployment's predictions"})
    version = Text(metadata={"description": "Only this version's predictions"})
    as_of = Instant(
        data_key="asOf",
        metadata={"format": "date-time", "description": "As it was known at this moment"},
    )
    received_from = Instant(
        data_key="receivedFrom",
        metadata={"format": "date-time", "description": "Only what was stored then or later"},
    )
    received_until = Instant(
        data_key="receivedUntil",
        metadata={"format": "date-time", "description": "Only what was stored before"},
    )
    format = fields.String(
        validate=validate.OneOf(FORMATS),
        metadata={"description": "Absent: that of the Accept header, or ndjson"},
    )
    loadable = fields.Boolean(
        load_default=False,
        error_messages={"invalid": "must be true or false"},
        metadata={"description": "Rows as they can be sent to another server"},
    )


class TruthsArgs(ExportArgs):
    """Which truths are exported, and how."""

    class Meta:  # noqa: D106 - marshmallow's way to leave out what has no truth
        exclude = ("unlabelled", "failed")


def _streams(view: View) -> View:
    """Document the answer of an export."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    headers = {
        AS_OF: {"schema": {"type": "string"}, "description": "The moment that it reflects"},
        KEPT_SINCE: {
            "schema": {"type": "string"},
            "description": "Rows received before are no longer kept; absent if all are",
        },
    }
    described: View = blp.doc(
        responses={
            "200": {
                "description": "A file of any length; it is broken off if it can't be completed",
                "content": dict.fromkeys(FORMATS.values(), binary),
                "headers": headers,
            }
        }
    )(view)
    return described


@blp.route("/predictions")
@needs(Role.READ)
@blp.arguments(ExportArgs, location="query", unknown=RAISE)
@_streams
def export_predictions(args: dict[str, Any], workspace_id: int) -> Response:
    """All predictions with their truths, oldest first, as a file

    All rows are of one moment, whatever is stored in the meantime.
    """
    return _exported(args, workspace_id, truths=False)


@blp.route("/outcomes")
@needs(Role.READ)
@blp.arguments(TruthsArgs, location="query", unknown=RAISE)
@_streams
def export_outcomes(args: dict[str, Any], workspace_id: int) -> Response:
    """All predictions whose truth is known, oldest first, as a file

    All rows are of one moment, whatever is stored in the meantime.
    """
    return _exported(args, workspace_id, truths=True)


def _exported(args: dict[str, Any], workspace_id: int, *, truths: bool) -> Response:
    """The answer; its first rows are read before its status is sent."""
    media_type = _media_type(args)
    write = writer_of(media_type)
    wanted = _wanted(args, workspace_id, truths=truths)
    release = admit_export()
    try:
        export = Export.begin(database(), wanted)
        layout, to_block = table_of(export, media_type, loadable=args["loadable"])
        blocks = _blocks(export.blocks(database()), to_block)
        first = next(blocks, None)
        about = _about(export)
        body = write(layout, chain([] if first is None else [first], blocks), about)
        response = Response(_ending(body, release), mimetype=media_type, headers=about)
    except BaseException:
        release()
        raise
    response.call_on_close(blocks.close)
    response.call_on_close(release)
    response.headers["Content-Disposition"] = f'attachment; filename="{_file_name(args, truths)}"'
    response.vary.add("Accept")
    return response


def _ending(body: Iterator[bytes], release: Callable[[], None]) -> Iterator[bytes]:
    """The same; what it occupied is free once it ends, before the server closes the answer."""
    try:
        yield from body
    finally:
        release()


def _blocks(found: Generator[Rows], to_block: Callable[[Rows], Block]) -> Generator[Block]:
    """Rows by column.

    Raises:
        BrokenPipeError: they can't be completed; some were sent with the status of a success, so
            the connection must break.
    """
    is_sent = False
    try:
        with closing(found):
            for rows in found:
                yield to_block(rows)
                is_sent = True
    except TruthlineError as error:
        if not is_sent:
            raise
        _log.warning("an export is broken off: %s", with_reason(error))
        raise BrokenPipeError(errno.EPIPE, "the export is broken off") from error


def _media_type(args: dict[str, Any]) -> str:
    if "format" in args:
        return FORMATS[args["format"]]
    return accepted(NDJSON, CSV, ARROW, PARQUET)


def _file_name(args: dict[str, Any], truths: bool) -> str:
    media_type = _media_type(args)
    suffix = next(name for name, known in FORMATS.items() if known == media_type)
    return f"{'outcomes' if truths else 'predictions'}.{suffix}"


def _about(export: Export) -> dict[str, str]:
    """Headers of the answer, which are in the metadata of Arrow and Parquet too."""
    about = {AS_OF: utc_time(export.moment)}
    if export.kept_since is not None:
        about[KEPT_SINCE] = utc_time(export.kept_since)
    return about


def _wanted(args: dict[str, Any], workspace_id: int, *, truths: bool) -> Wanted:
    received = Received(args.get("received_from"), args.get("received_until"))
    if received.start and received.end and received.end <= received.start:
        raise InvalidInput("receivedUntil must be after receivedFrom")
    return Wanted(
        workspace_id=workspace_id,
        subject=_subject(args),
        window=window_of(args),
        which=filter_of(args),
        received=received,
        as_of=args.get("as_of"),
        truths=truths,
    )


def _subject(args: dict[str, Any]) -> Scope | Models:
    if "model" in args:
        return scope_of({"namespace": "", "pipeline": ""} | args)
    names = {name: args.get(name) for name in ("namespace", "pipeline", "deployment", "version")}
    return Models(**names, tags=TagFilter.of(args.get("tags", ())))
