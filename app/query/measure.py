"""The attributes of a number that Truthline reports; `app/query/measures.py` lists all of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Unit(Enum):
    """The unit of a number; the value is its name in the documents."""

    COUNT = "count"
    SHARE = "fraction of 1"
    SECONDS = "seconds"
    MILLISECONDS = "ms"
    OWN = "that of the prediction"
    OWN_SQUARED = "that of the prediction, squared"
    NUMBER = "none"  # a plain number, which may be negative
    OF_STEP = "that of the metric"


class Better(Enum):
    """Which direction is an improvement; the value is its sign."""

    UP = 1
    DOWN = -1
    NEITHER = 0


class Method(Enum):
    """How a confidence interval is computed; the value is its name in the documents.

    `sql/views/06_intervals.sql` has a scale for each.
    """

    WILSON = "Wilson's score interval"
    WILSON_OF_F1 = "Wilson's score interval of TP / (TP + FP + FN), of which F1 is a function"
    STUDENT = "Student's t, from the sum and the sum of squares"
    LOGARITHM = "delta method, on the logarithm"
    LOGIT = "delta method, on the logit; Wilson's where the average equals the accuracy"
    FISHER = "delta method, on Fisher's z"
    NORMAL = "delta method"
    DELONG = "DeLong's, on the logit"
    BOYD = "logit interval of Boyd, Eng and Page (2013)"


class Surface(Enum):
    """Where a measure appears, unless its entry in the registry excludes it."""

    REST = "native endpoints"
    CLIENT = "results of the client"
    SQL = "functions by name"
    PAGES = "pages and their CSV"
    DASHBOARDS = "Grafana"


EVERYWHERE: frozenset[Surface] = frozenset()


@dataclass(frozen=True, slots=True)
class Measure:
    """One number.

    `name` is its field in the dataclass of a query function. `definition` is one sentence without a
    full stop, and `null` completes "null …" for a number that may be undefined. `short` is a title
    for narrow places. `wire` and `column` are its names in JSON and in SQL, if they differ from
    `name` (in JSON: in camelCase). `left_out` lists where it is deliberately missing.
    `interval` is how its confidence interval is computed; None if it has none.
    """

    name: str
    title: str
    unit: Unit
    better: Better
    definition: str
    null: str = ""
    short: str = ""
    wire: str = ""
    column: str = ""
    left_out: frozenset[Surface] = EVERYWHERE
    interval: Method | None = None

    @property
    def label(self) -> str:
        """The short title, or the title."""
        return self.short or self.title

    @property
    def wire_name(self) -> str:
        """Its member of a JSON object."""
        return self.wire or re.sub(r"_(\w)", lambda match: match[1].upper(), self.name)

    @property
    def client_name(self) -> str:
        """Its field in a result of the client, and its column in CSV."""
        return re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", self.wire_name)

    @property
    def column_name(self) -> str:
        """Its column in a function by name."""
        return self.column or self.name

    @property
    def meaning(self) -> str:
        """Its definition, and when it is null."""
        return f"{self.definition}; null {self.null}" if self.null else self.definition


Measures = Mapping[str, Measure]
"""Measures of one subject, by the name of their field."""


def with_interval(surface: Surface, measures: Measures) -> list[Measure]:
    """Those that have a confidence interval there, in order."""
    return [measure for measure in shown_in(surface, measures) if measure.interval]


def shown_in(surface: Surface, measures: Measures) -> list[Measure]:
    """The measures that appear on a surface, in order."""
    return [measure for measure in measures.values() if surface not in measure.left_out]
