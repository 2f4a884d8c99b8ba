"""Every bench can be started: everything that it imports exists."""

from importlib import import_module
from pathlib import Path

import pytest

BENCHES = Path(__file__).parents[2] / "bench"
# Peers run in environments of their own: bench/peers.
ELSEWHERE = {"__init__", "__main__"}


@pytest.mark.parametrize("name", sorted({p.stem for p in BENCHES.glob("*.py")} - ELSEWHERE))
def test_it_finds_what_it_needs(name):
    import_module(f"bench.{name}")
