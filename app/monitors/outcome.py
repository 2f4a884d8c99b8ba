"""What a round stores of a monitor: new verdicts, where its parts stand, and what is sent."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.monitors.due import Due
from app.monitors.evaluation import Judged
from app.monitors.past import Known, Past, Standing

FIRST_TOLD = "ok"


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict to be stored. `revises` is the one on the same window that it changes.

    `tell` says whether receivers are notified; `is_latest` whether it is about the latest window.
    """

    judged: Judged
    revises: Known | None
    tell: bool
    is_latest: bool


@dataclass(slots=True)
class Outcome:
    """What a round found of a monitor. Verdicts are in the order in which they are sent."""

    due: Due
    findings: list[Finding] = field(default_factory=list)
    standings: dict[str, Standing] = field(default_factory=dict)
    judged_until: datetime | None = None


def outcome_of(due: Due, judged: Sequence[Judged], past: Past, as_of: datetime) -> Outcome:
    """Compare what was found with what was known.

    A verdict is stored if it is the first on its window, or differs in its state from the last one,
    unless that one was given before rows were dropped that it needs.
    Receivers are notified of a first verdict if its state isn't the last one they know, and of each
    revision; in either case only if they want to know of the state, and not during a silence. So
    a receiver that keeps all messages knows the state of every window.
    """
    outcome = Outcome(due, judged_until=due.new[-1] if due.new else due.judged_until)
    quiet = due.definition.silenced(as_of)
    for one in judged:
        standing = outcome.standings.get(one.part) or past.standings.get((due.id, one.part))
        known = past.verdicts.get((due.id, one.part, one.end))
        if known is None or (known.state != one.verdict.state and not one.lost):
            _add(outcome, one, known, standing, quiet=quiet)
        elif standing is not None:
            outcome.standings[one.part] = standing
    return outcome


def _add(
    outcome: Outcome, one: Judged, known: Known | None, standing: Standing | None, *, quiet: bool
) -> None:
    state = one.verdict.state
    told = standing.told if standing else FIRST_TOLD
    is_latest = standing is None or one.end >= standing.window_end
    tell = not quiet and _is_told(outcome.due, state, known, told)
    outcome.findings.append(Finding(one, known, tell, is_latest))
    if is_latest:
        since = standing.since if standing and standing.state == state else one.end
        told = state if tell else told
        outcome.standings[one.part] = Standing(one.end, state, since, told)
    elif standing:
        outcome.standings[one.part] = standing


def _is_told(due: Due, state: str, known: Known | None, told: str) -> bool:
    wanted = due.definition.notify_on
    if known is None:
        return state in wanted and state != told
    return state in wanted or known.state in wanted
