"""All cases in one run: what each measures, at which sizes, and where its results are written."""

import json
import os
import platform
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.report import Record, recording
from bench.timing import pace
from tests.servers import edition

RESULTS = Path(__file__).with_name("results")
EDITION = "TRUTHLINE_TEST_EDITION"
Numbers = tuple[int, ...]


class Effort(StrEnum):
    """How much a run takes: seconds in all for a test, ten minutes, or hours."""

    TINY = "tiny"
    QUICK = "quick"
    FULL = "full"


# The most tries of a comparison, and the seconds after which there is none more.
PACES = {Effort.TINY: (1, 0.0), Effort.QUICK: (15, 1.5), Effort.FULL: (30, 10.0)}


@dataclass(frozen=True, slots=True)
class Case:
    """A module of this folder whose `main` takes sizes; `names` says what they are of.

    A case that is measured `once` does not depend on the edition. One that `needs` editions has
    nothing to measure on others.
    """

    name: str
    title: str
    names: tuple[str, ...]
    sizes: dict[Effort, Numbers]
    once: bool = False
    needs: frozenset[str] = field(default_factory=frozenset)

    def measure(self, effort: Effort) -> Record:
        """Run it; what it prints goes to the terminal."""
        with recording() as record, pace(*PACES[effort]):
            import_module(f"bench.{self.name}").main(*self.sizes[effort])
        return record


def _case(name: str, title: str, names: str, *sizes: Numbers, **more: Any) -> Case:
    of_efforts = dict(zip(Effort, sizes, strict=True))
    return Case(name, title, tuple(filter(None, names.split(","))), of_efforts, **more)


COMMUNITY = frozenset(("community",))
CASES = (
    _case(
        "questions",
        "One model's week, next to SQL, DuckDB, chDB and scikit-learn",
        "predictions",
        (2_000,),
        (400_000,),
        (6_000_000,),
    ),
    _case(
        "reports",
        "Metrics of a window, next to Evidently and scikit-learn",
        "predictions",
        (2_000,),
        (200_000,),
        (2_000_000,),
    ),
    _case(
        "ingest",
        "Ingest, next to a bare COPY of the same rows",
        "rows,rounds",
        (300, 1),
        (40_000, 3),
        (500_000, 5),
    ),
    _case(
        "steps",
        "Step metrics, next to MLflow",
        "rounds",
        (1,),
        (2,),
        (5,),
        once=True,
    ),
    _case(
        "answers",
        "The way of a question over HTTP, next to /livez",
        "truths",
        (3_000,),
        (100_000,),
        (300_000,),
    ),
    _case(
        "levels",
        "Confusion matrices by levels, next to SQL over the rows",
        "outcomes,classes",
        (2_000, 10),
        (300_000, 10),
        (20_000_000, 10),
    ),
    _case(
        "scores",
        "Metrics of scores, next to scikit-learn",
        "truths",
        (3_000,),
        (200_000,),
        (4_000_000,),
    ),
    _case(
        "quantiles",
        "Exact quantiles, next to percentile_cont",
        "predictions",
        (3_000,),
        (300_000,),
        (5_000_000,),
    ),
    _case(
        "drift",
        "Drift of two months, next to SQL over the rows and Evidently",
        "predictions",
        (3_000,),
        (200_000,),
        (10_000_000,),
    ),
    _case(
        "health",
        "Thirty days of a model's health, next to SQL over the rows",
        "predictions",
        (3_000,),
        (300_000,),
        (20_000_000,),
    ),
    _case(
        "inference_stats",
        "Inference stats of a day, next to SQL over the rows",
        "detections",
        (3_000,),
        (300_000,),
        (20_000_000,),
    ),
    _case(
        "overview",
        "The page of two hundred models",
        "rows",
        (3_000,),
        (300_000,),
        (20_000_000,),
    ),
    _case(
        "tags",
        "One series, next to thousands that differ by tags",
        "outcomes,series",
        (2_000, 20),
        (100_000, 2_000),
        (1_000_000, 10_000),
    ),
    _case(
        "replica",
        "What a read replica takes off the primary",
        "predictions,questions",
        (2_000, 4),
        (200_000, 100),
        (2_000_000, 200),
    ),
    _case(
        "audit",
        "Auditing levels, next to counting their rows",
        "outcomes",
        (2_000,),
        (300_000,),
        (2_000_000,),
    ),
    _case(
        "events",
        "Feedback events, next to a counter in memory",
        "events",
        (20,),
        (1_500,),
        (10_000,),
        once=True,
    ),
    _case(
        "counters",
        "Adding to a counter: appending, next to updating",
        "events",
        (32,),
        (2_000,),
        (5_000,),
    ),
    _case(
        "client",
        "What logging costs the model's thread",
        "calls",
        (200,),
        (20_000,),
        (100_000,),
        once=True,
    ),
    _case(
        "request_keys",
        "Finding a prediction by its request id",
        "days,rows a day",
        (2, 2_000),
        (5, 20_000),
        (30, 100_000),
        needs=COMMUNITY,
    ),
    _case("start", "What starting a command costs", "", (), (), (), once=True),
)


def chosen(names: Sequence[str], *, first: bool) -> Iterator[Case]:
    """Cases of the edition, or those named; those that are measured once with the first edition."""
    for case in CASES:
        if names and case.name not in names:
            continue
        if (first or not case.once) and (not case.needs or edition() in case.needs):
            yield case


def run(effort: Effort, editions: Sequence[str], names: Sequence[str], budget: float) -> list[str]:
    """Measure and write; no case begins once the budget of seconds is spent.

    Returns the cases that failed. Their results stay as they were, and the others are measured.
    """
    began, failed = time.monotonic(), []
    for place, name in enumerate(editions):
        os.environ[EDITION] = name
        for case in chosen(names, first=place == 0):
            spent = time.monotonic() - began
            if spent > budget:
                print(f"left out after {spent:.0f} s: {case.name} on {name}")
                continue
            print(f"\n== {case.title} ({case.name}, {name}, {spent:.0f} s so far)", flush=True)
            try:
                record = case.measure(effort)
            except Exception:  # noqa: BLE001 - a peer may fail in any way
                traceback.print_exc()
                failed.append(f"{case.name} on {name}")
                continue
            if effort is not Effort.TINY:
                write(case, effort, record)
    return failed


def write(case: Case, effort: Effort, record: Record, folder: Path = RESULTS) -> Path:
    """A file of its own for each case and edition."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{case.name}-{edition()}.json"
    path.write_text(json.dumps(described(case, effort, record), indent=1) + "\n")
    return path


def described(case: Case, effort: Effort, record: Record) -> dict[str, Any]:
    """What a reader needs to repeat it, and nothing of the machine but its cores."""
    own = {"Truthline": version("truthline-server"), "Python": platform.python_version()}
    return {
        "case": case.name,
        "title": case.title,
        "effort": effort.value,
        "edition": edition(),
        "cores": len(os.sched_getaffinity(0)),
        "size": dict(zip(case.names, case.sizes[effort], strict=True)),
        "versions": own | record.versions,
        "facts": record.facts,
        "comparisons": [one.as_json() for one in record.comparisons],
    }
