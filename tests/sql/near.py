"""Averages of classes are summed in any order, so their last digits differ."""

import pytest


def near(number):
    """Equal to the number within 1e-9 of it; to None only None is."""
    return number if number is None else pytest.approx(number, rel=1e-9)
