"""A cache of the ids that are stored for names."""

from collections.abc import Callable, Collection, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Cache(Generic[K, V]):
    """A bounded cache of committed ids. It is emptied when full: simple, and rare.

    `weight` is the number of names in a key.
    """

    CAPACITY = 200_000

    def __init__(self, weight: Callable[[K], int] = lambda _: 1) -> None:
        self._known: dict[K, V] = {}
        self._weight = weight
        self._total = 0

    def resolve(
        self,
        keys: Collection[K],
        look_up: Callable[[list[K]], Mapping[K, V]],
        lasting: Callable[[V], bool] = lambda _: True,
    ) -> dict[K, V]:
        """Values from the cache, and from one call of `look_up` for the keys that are missing.

        Only values that are `lasting` are cached.
        """
        known = self._known
        values = {key: known[key] for key in keys if key in known}
        missing = [key for key in keys if key not in values]
        if missing:
            new = look_up(missing)
            self._add({key: value for key, value in new.items() if lasting(value)})
            values.update(new)
        return values

    def _add(self, new: Mapping[K, V]) -> None:
        weight = sum(map(self._weight, new))
        if self._total + weight > self.CAPACITY:
            self.clear()
        self._total += weight
        self._known.update(new)

    def clear(self) -> None:
        """Forget everything."""
        self._known, self._total = {}, 0
