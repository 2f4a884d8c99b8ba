"""Arrays of numbers and texts as rows: nested lists, or values in row order with a shape.

The arrays of every protocol end up here.
"""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from app.api.seldon_core.readings import Answer, Scalar
from app.errors import InvalidInput
from app.ingest.fields import number_text

DEPTH = 2  # rows of values; a classifier's answer is not deeper
MAX_NESTING = 8  # of values whose shape is stated


def of_nested(name: str, array: list[Any]) -> Answer:
    """A nested list as rows of scalars; `name` identifies it in errors.

    Raises:
        InvalidInput: it is empty, ragged, nested deeper than rows, or contains something else.
    """
    leaves = list(_leaves(name, array, 1, DEPTH))
    depths = {depth for _, depth in leaves}
    if not leaves or len(depths) > 1 or (depths == {1} and len(leaves) < len(array)):
        raise InvalidInput(f"{name} must be a list of values or of rows, and not empty")
    values = _same_type([value for value, _ in leaves])
    if depths == {1}:
        return Answer([[value] for value in values], flat=True)
    lengths = {len(row) for row in array}
    if len(lengths) > 1:
        raise InvalidInput(f"rows of {name} must have the same length")
    return Answer(_in_rows(values, lengths.pop()), flat=False)


def of_shaped(name: str, values: Sequence[Scalar], shape: Sequence[int]) -> Answer:
    """Values in row order, as rows of this shape; without a shape, as a vector.

    Raises:
        InvalidInput: the shape is not one of rows, or does not fit the values.
    """
    sizes = shape or [len(values)]
    if not 1 <= len(sizes) <= DEPTH or any(s < 1 for s in sizes) or prod(sizes) != len(values):
        raise InvalidInput(
            f"{name} must have a shape of one or two sizes that fits its {len(values)} values"
        )
    converted = _same_type(list(values))
    return Answer(_in_rows(converted, 1 if len(sizes) == 1 else sizes[1]), flat=len(sizes) == 1)


def flattened(name: str, array: list[Any]) -> list[Scalar]:
    """The scalars of a nested list in row order.

    Raises:
        InvalidInput: it contains something else.
    """
    return [value for value, _ in _leaves(name, array, 0, MAX_NESTING)]


def _leaves(name: str, array: list[Any], depth: int, limit: int) -> Iterator[tuple[Scalar, int]]:
    """The scalars of a nested list, and the depth of each."""
    for value in array:
        if isinstance(value, list) and depth < limit:
            yield from _leaves(name, value, depth + 1, limit)
        elif value is None or isinstance(value, bool | int | float | str):
            yield value, depth
        else:
            kind = "a deeper list" if isinstance(value, list) else "an object"
            raise InvalidInput(f"{name} must contain numbers or texts in rows, not {kind}")


def _same_type(values: list[Scalar]) -> list[Scalar]:
    """Values of one type, as numpy converts an array; next to texts, numbers are labels.

    A null stays null: it makes only its own row invalid.
    """
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) <= 1:
        return values
    make = number_text if str in kinds else float if float in kinds else int
    try:
        return [v if v is None or isinstance(v, str) else make(v) for v in values]
    except (OverflowError, ValueError):
        raise InvalidInput("a number is out of range") from None


def _in_rows(values: Sequence[Scalar], length: int) -> list[Sequence[Scalar]]:
    return [values[at : at + length] for at in range(0, len(values), length)]
