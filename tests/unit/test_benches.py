"""Every bench can be started: what it takes from others is there."""

from importlib import import_module
from pathlib import Path

import pytest

BENCHES = Path(__file__).parents[2] / "bench"
# Runs in an environment of its own, together with MLflow.
ELSEWHERE = {"__init__", "mlflow_peer"}


@pytest.mark.parametrize("name", sorted({p.stem for p in BENCHES.glob("*.py")} - ELSEWHERE))
def test_it_finds_what_it_needs(name):
    import_module(f"bench.{name}")
