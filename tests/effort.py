"""How many examples a property is tested on: enough for every run, or as many as for a release.

`make test-thorough` loads Hypothesis's profile `thorough`. Outside CI each run draws other
examples, so many quick runs are as good as a thorough one.
"""

from typing import Any

from hypothesis import settings

THOROUGH = "thorough"


def is_thorough() -> bool:
    """Whether all variants are tested, however similar they are."""
    return settings.get_current_profile_name() == THOROUGH


def examples(quick: int, *, thorough: int, **more: Any) -> settings:
    """Settings of a property, with the number of examples for the profile that is loaded."""
    return settings(max_examples=thorough if is_thorough() else quick, **more)
