"""Real models on real data: handwritten digits, and the progression of diabetes within a year.

Two models each, as two versions of one. This module needs scikit-learn, the extra `demo`.
"""

# mypy: disable-error-code="no-untyped-call"
# scikit-learn carries no types.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import (
    ExtraTreesClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split

from app.demo.timeline import DIABETES, DIGITS, Answer, Trained

SEED = 20260
HELD_OUT_DIGITS = 900  # of 1,797 images
HELD_OUT_PATIENTS = 150  # of 442


def train() -> list[Trained]:
    """Train all models; takes about a second."""
    return [_train_digits(), _train_diabetes()]


def _train_digits() -> Trained:
    images, digits = load_digits(return_X_y=True)
    learned, held_out, learned_truths, truths = train_test_split(
        images, digits, test_size=HELD_OUT_DIGITS, random_state=SEED, stratify=digits
    )
    versions: dict[str, Any] = {
        "v1": RandomForestClassifier(random_state=SEED),
        "v2": ExtraTreesClassifier(random_state=SEED),
    }
    for version in versions.values():
        version.fit(learned, learned_truths)
    return Trained(DIGITS, [str(truth) for truth in truths], Classifiers(versions, held_out))


def _train_diabetes() -> Trained:
    patients, progressions = load_diabetes(return_X_y=True)
    learned, held_out, learned_truths, truths = train_test_split(
        patients, progressions, test_size=HELD_OUT_PATIENTS, random_state=SEED
    )
    versions: dict[str, Any] = {
        "v1": RandomForestRegressor(min_samples_leaf=5, random_state=SEED),
        "v2": Ridge(alpha=0.1),
    }
    for version in versions.values():
        version.fit(learned, learned_truths)
    return Trained(DIABETES, [float(truth) for truth in truths], Regressors(versions, held_out))


@dataclass(frozen=True, slots=True)
class Classifiers:
    """Return a probability for each class."""

    versions: Mapping[str, Any]
    inputs: np.ndarray

    def __call__(
        self, version: str, samples: Sequence[int], noise: Sequence[float]
    ) -> list[Answer]:
        """Classify samples with added noise."""
        model = self.versions[version]
        names = [str(class_) for class_ in model.classes_]
        rows = model.predict_proba(_with_noise(self.inputs, samples, noise))
        return [dict(zip(names, row, strict=True)) for row in rows.tolist()]


@dataclass(frozen=True, slots=True)
class Regressors:
    """Return a value."""

    versions: Mapping[str, Any]
    inputs: np.ndarray

    def __call__(
        self, version: str, samples: Sequence[int], noise: Sequence[float]
    ) -> list[Answer]:
        """Estimate the value of samples with added noise."""
        noisy = _with_noise(self.inputs, samples, noise)
        answers: list[Answer] = self.versions[version].predict(noisy).tolist()
        return answers


def _with_noise(inputs: np.ndarray, samples: Sequence[int], noise: Sequence[float]) -> np.ndarray:
    """Samples with normal noise, whose strength is in standard deviations of all inputs."""
    clean = inputs[list(samples)]
    grain = np.random.default_rng(SEED).normal(scale=inputs.std(), size=clean.shape)
    noisy: np.ndarray = clean + grain * np.asarray(noise)[:, np.newaxis]
    return noisy.clip(inputs.min(), inputs.max())
