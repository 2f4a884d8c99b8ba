"""Real models on real data: handwritten digits, diabetes, tumours of the breast, and wines.

This module needs scikit-learn, the extra `demo`.
"""

# mypy: disable-error-code="no-untyped-call"
# scikit-learn carries no types.

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import (
    ExtraTreesClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from app.demo.lesson import (
    AREAS,
    DIABETES,
    DIGITS,
    NOISE,
    STRIPS,
    TUMOURS,
    WINE,
    Answer,
    Trained,
)
from app.store.registry import Kind, ModelName

SEED = 20260
TREES = 50  # of a forest
HELD_OUT_DIGITS = 900  # of 1,797 images
# The second version of the classifier of digits has seen this share of the images of an eight.
SCARCE, SCARCE_SHARE = 8, 0.08
STRIPS_MADE, CELLS = 200, 6  # strips of digits to detect, each with some cells blank
BLANK_SHARE = 0.3
INK = 2.5  # mean brightness, of 0 to 16, from which on a cell is taken for a digit
AREA = 23  # the feature "worst area"

Parts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def train() -> list[Trained]:
    """Train all models, and let each answer its test set at every strength of noise."""
    digits = _parts(load_digits(return_X_y=True), HELD_OUT_DIGITS)
    return [*_digits(*digits), _diabetes(), *_pathology(), _wine()]


def _parts(data: tuple[np.ndarray, np.ndarray], held_out: int, *, classes: bool = True) -> Parts:
    """Inputs to learn from, inputs to answer, and the truths of both."""
    inputs, truths = data
    parts: Parts = train_test_split(
        inputs, truths, test_size=held_out, random_state=SEED, stratify=truths if classes else None
    )
    return parts


def _digits(
    learned: np.ndarray, held_out: np.ndarray, labels: np.ndarray, truths: np.ndarray
) -> list[Trained]:
    forest = RandomForestClassifier(TREES, random_state=SEED).fit(learned, labels)
    kept = (labels != SCARCE) | (np.random.default_rng(SEED).random(len(labels)) < SCARCE_SHARE)
    lacking = ExtraTreesClassifier(TREES, random_state=SEED).fit(learned[kept], labels[kept])
    versions = {"v1": forest, "v2": lacking}
    return [
        _classifier(DIGITS, versions, held_out, [str(truth) for truth in truths]),
        _detector(forest, held_out),
    ]


def _diabetes() -> Trained:
    parts = _parts(load_diabetes(return_X_y=True), 150, classes=False)
    versions: dict[str, Any] = {
        "v1": RandomForestRegressor(TREES, min_samples_leaf=5, random_state=SEED),
        "v2": Ridge(alpha=0.1),
    }
    return _regressor(DIABETES, versions, parts)


def _pathology() -> list[Trained]:
    data = load_breast_cancer()
    learned, held_out, labels, truths = _parts((data.data, data.target), 280)
    logistic = make_pipeline(StandardScaler(), LogisticRegression(random_state=SEED))
    names = np.array(["malignant", "benign"])
    benign = logistic.fit(learned, names[labels])
    means = data.data[:, :10]  # the first ten features are means, the last ten the worst
    areas = _parts((means, data.data[:, AREA]), 280, classes=False)
    forest = {"v1": RandomForestRegressor(TREES, random_state=SEED)}
    return [
        _classifier(TUMOURS, {"v1": benign}, held_out, list(names[truths])),
        _regressor(AREAS, forest, areas),
    ]


def _wine() -> Trained:
    data = load_wine()
    learned, held_out, labels, truths = _parts((data.data, data.target), 90)
    names = np.array(["barolo", "grignolino", "barbera"])  # the cultivars of the data's authors
    versions: dict[str, Any] = {
        "v1": DecisionTreeClassifier(max_depth=2, max_features=3, random_state=SEED),
        "v2": RandomForestClassifier(TREES, random_state=SEED),
    }
    for version in versions.values():
        version.fit(learned, names[labels])
    return _classifier(WINE, versions, held_out, list(names[truths]))


def _classifier(
    name: ModelName, versions: Mapping[str, Any], inputs: np.ndarray, truths: Sequence[str]
) -> Trained:
    answers = {
        version: [_classes(model, _with_noise(inputs, noise)) for noise in NOISE]
        for version, model in versions.items()
    }
    return Trained(name, Kind.CLASSIFICATION, [str(truth) for truth in truths], answers)


def _classes(model: Any, inputs: np.ndarray) -> list[Answer]:
    """The most probable class of each input."""
    shares = model.predict_proba(inputs)
    best = shares.argmax(axis=1)
    return [
        [(str(model.classes_[place]), round(float(row[place]), 4))]
        for place, row in zip(best, shares, strict=True)
    ]


def _regressor(name: ModelName, versions: Mapping[str, Any], parts: Parts) -> Trained:
    learned, held_out, values, truths = parts
    answers: dict[str, Sequence[Sequence[Answer]]] = {}
    for version, model in versions.items():
        model.fit(learned, values)
        answers[version] = [
            [[("", round(float(value), 2))] for value in model.predict(_with_noise(held_out, n))]
            for n in NOISE
        ]
    return Trained(name, Kind.REGRESSION, [float(truth) for truth in truths], answers)


def _detector(model: Any, images: np.ndarray) -> Trained:
    """Find the digits in strips of cells, some of which are blank."""
    chance = np.random.default_rng(SEED)
    cells = images[chance.integers(len(images), size=STRIPS_MADE * CELLS)]
    cells = cells * (chance.random(len(cells)) >= BLANK_SHARE)[:, np.newaxis]
    answers = [_detections(model, _with_noise(cells, noise)) for noise in NOISE]
    return Trained(STRIPS, Kind.DETECTION, [None] * STRIPS_MADE, {"v1": answers})


def _detections(model: Any, cells: np.ndarray) -> list[Answer]:
    classified = _classes(model, cells)
    inked = cells.mean(axis=1) >= INK
    return [
        [classified[place][0] for place in range(first, first + CELLS) if inked[place]]
        for first in range(0, len(cells), CELLS)
    ]


def _with_noise(inputs: np.ndarray, strength: float) -> np.ndarray:
    """Inputs with normal noise, in standard deviations of each feature."""
    if not strength:
        return inputs
    grain = np.random.default_rng(SEED).normal(scale=strength, size=inputs.shape)
    noisy: np.ndarray = inputs + grain * inputs.std(axis=0)
    return noisy.clip(inputs.min(axis=0), inputs.max(axis=0))
