"""Training runs of the demo's classifier: real ones, each with a different step size.

A run is an execution that records its loss and accuracy after each pass over the images, and its
final results as scalars. This module needs scikit-learn, the extra `demo`.
"""

# mypy: disable-error-code="no-untyped-call"
# scikit-learn carries no types.

from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from app.demo.lesson import Run
from app.demo.models import SEED

STEP_SIZES = (0.001, 0.003, 0.01, 0.03)
PASSES = 12


def runs() -> Iterator[Run]:
    """Train once per step size."""
    images, digits = load_digits(return_X_y=True)
    parts = train_test_split(images / 16, digits, random_state=SEED, stratify=digits)
    for number, step_size in enumerate(STEP_SIZES, 1):
        losses, accuracies = _passes(step_size, *parts)
        scalars = {"step_size": step_size, "loss": losses[-1], "accuracy": accuracies[-1]}
        lists = {"loss": losses, "accuracy": accuracies}
        yield Run(f"demo-training-{number}", scalars, lists)


def _passes(
    step_size: float,
    images: Sequence[object],
    held_out: Sequence[object],
    digits: Sequence[int],
    truths: np.ndarray,
) -> tuple[list[float], list[float]]:
    """Loss and accuracy on the test images, after each pass."""
    model = SGDClassifier(
        loss="log_loss", learning_rate="constant", eta0=step_size, random_state=SEED
    )
    losses, accuracies = [], []
    for _ in range(PASSES):
        model.partial_fit(images, digits, classes=range(10))
        shares = model.predict_proba(held_out)
        losses.append(float(log_loss(truths, shares)))
        accuracies.append(float((shares.argmax(axis=1) == truths).mean()))
    return losses, accuracies
