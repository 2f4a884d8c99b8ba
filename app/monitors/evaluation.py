"""Verdicts of many monitors on many windows as of one moment, from a few statements."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from app.monitors.definition import MonitorDefinition
from app.monitors.judge import NOTHING, Read, Reading, Verdict, Where, judge, needed
from app.monitors.metrics import LABELLED
from app.monitors.readings import Ask, FromReference, Selection, read_all
from app.monitors.selections import WHOLE, Parts, parts_of_all
from app.monitors.tails import decisive
from app.query.drift import BY_WIRE


@dataclass(frozen=True, slots=True)
class Job:
    """Windows of a monitor that are to be judged, by their ends."""

    workspace_id: int
    definition: MonitorDefinition
    ends: Sequence[datetime]


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict on a window of a part of a monitor.

    It is `lost` if it depends on rows that retention has dropped: an earlier verdict knew more.
    """

    part: str
    end: datetime
    verdict: Verdict
    series: tuple[int, ...]
    lost: bool = False


def evaluate(conn: Connection, jobs: Sequence[Job], as_of: datetime) -> list[list[Judged]]:
    """The verdicts on the windows of each job, oldest window first.

    Cost: one statement for the series of all of them, and those of `read_all`.
    """
    parts = parts_of_all(conn, [(job.workspace_id, job.definition) for job in jobs])
    asks = [ask for job, about in zip(jobs, parts, strict=True) for ask in _asks(job, about)]
    readings = read_all(conn, asks, as_of)
    return [list(_judged(job, about, readings)) for job, about in zip(jobs, parts, strict=True)]


def read_one(
    conn: Connection,
    workspace_id: int,
    definition: MonitorDefinition,
    start: datetime,
    end: datetime,
    as_of: datetime,
) -> Reading:
    """The metric of a monitor in [start, end), of all its parts. Cost: three statements."""
    (parts,) = parts_of_all(conn, [(workspace_id, definition)])
    ask = _ask(definition, parts, WHOLE, Where(start, end))
    return read_all(conn, [ask], as_of).get(ask, NOTHING) if ask else NOTHING


def _asks(job: Job, about: Parts) -> Iterator[Ask]:
    wheres = dict.fromkeys(where for end in job.ends for where in needed(job.definition, end))
    for part in about.own:
        for where in wheres:
            if ask := _ask(job.definition, about, part, where):
                yield ask


def _ask(definition: MonitorDefinition, about: Parts, part: str, where: Where) -> Ask | None:
    """What is read there; None if there is nothing to read."""
    metric = LABELLED if where.is_share else definition.watched
    selection = (about.other if where.of_other else about.own).get(part)
    if selection is None or about.kind not in (metric.kind or about.kind, None):
        return None
    if definition.label is not None and about.label_id is None:
        return None
    if where.is_share:
        return Ask(selection, where.start, where.end, metric, "")
    if where.reference:
        drift = _drift(definition, about, part, where.reference)
        return Ask(selection, where.start, where.end, metric, "", drift=drift) if drift else None
    return Ask(
        selection,
        where.start,
        where.end,
        metric,
        definition.average if metric.kind else "",
        about.label_id,
        definition.quantile,
        definition.level,
    )


def _drift(
    definition: MonitorDefinition, about: Parts, part: str, reference: Where
) -> FromReference | None:
    """What drift is measured from; None if it has no predictions."""
    selection = (about.other if reference.of_other else about.own).get(part)
    quantity, statistic = definition.quantity, definition.statistic
    if selection is None or quantity is None or statistic is None:
        return None
    return FromReference(selection, reference.start, reference.end, quantity, BY_WIRE[statistic])


def _judged(job: Job, about: Parts, readings: Mapping[Ask, Reading]) -> Iterator[Judged]:
    parts = about.own if job.definition.group_by else {WHOLE: about.own.get(WHOLE)}
    for end in job.ends:
        for part, selection in parts.items():
            read = _reader(job.definition, about, part, readings)
            verdict = judge(job.definition, end, read)
            lost = any(read(where).lost for where in needed(job.definition, end))
            yield Judged(part, end, verdict, _series(selection), lost)


def _series(selection: Selection | None) -> tuple[int, ...]:
    return selection.series if selection else ()


def _reader(
    definition: MonitorDefinition, about: Parts, part: str, readings: Mapping[Ask, Reading]
) -> Read:
    def read(where: Where) -> Reading:
        ask = _ask(definition, about, part, where)
        return decisive(definition, readings.get(ask, NOTHING)) if ask else NOTHING

    return read
