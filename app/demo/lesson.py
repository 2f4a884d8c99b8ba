"""What training leaves: the answers of each model, and the runs that a pipeline recorded.

Training happens in a process of its own: scikit-learn would take hundreds of megabytes for as long
as the demo serves.
"""

import importlib.util
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from app.errors import TruthlineError
from app.store.registry import Kind, ModelName

NAMESPACE = "demo"
DIGITS = ModelName(NAMESPACE, "digits-pipeline", "digits")
STRIPS = ModelName(NAMESPACE, "digits-pipeline", "digit-strips")
DIABETES = ModelName(NAMESPACE, "diabetes-pipeline", "diabetes")
TUMOURS = ModelName(NAMESPACE, "pathology", "tumours")
AREAS = ModelName(NAMESPACE, "pathology", "tumour-area")
WINE = ModelName(NAMESPACE, "wine-pipeline", "wine")

# How far the inputs of an answer were disturbed, in standard deviations of all inputs.
NOISE = (0.0, 0.4, 0.8)

# One output: a class and its confidence, or "" and a value. A detector has any number of them.
Output = tuple[str, float]
Answer = Sequence[Output]


class NoScikitLearn(TruthlineError):
    """The package that trains the demo's models isn't installed."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A model, the truths of the samples in its test set, and its answers to them.

    `answers` has one per version, place in NOISE, and sample. A detector's samples have no truths.
    """

    name: ModelName
    kind: Kind
    truths: Sequence[str | float | None]
    answers: Mapping[str, Sequence[Sequence[Answer]]]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a training pipeline: its name, its scalars, and its lists."""

    execution: str
    scalars: Mapping[str, float]
    lists: Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Lesson:
    """All models and all runs."""

    models: Sequence[Trained]
    runs: Sequence[Run]


def require_scikit_learn() -> None:
    """Check before anything is started.

    Raises:
        NoScikitLearn: the extra `demo` isn't installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise NoScikitLearn(
            "The demo trains its models with scikit-learn, which isn't installed here: run it from"
            " a checkout with 'make demo'"
        )


def learn() -> Lesson:
    """Train everything, in another process; takes a few seconds."""
    command = [sys.executable, "-m", "app.demo"]
    trained = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(trained.stdout, type=Lesson)
