"""Tags in questions: which predictions count, by what clients said about them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from app.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class TagFilter:
    """Predictions that have one of some values for each of some keys; without keys, all.

    An empty value stands for predictions without the key.
    """

    accepted: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def of(cls, texts: Iterable[str]) -> "TagFilter":
        """Parse texts like `country:FR`. Texts of one key are alternatives.

        Raises:
            InvalidInput: a text has no key, or no colon.
        """
        accepted: dict[str, list[str]] = {}
        for text in texts:
            key, colon, value = text.partition(":")
            if not key or not colon:
                raise InvalidInput("tag must be a key and a value like country:FR")
            accepted.setdefault(key, []).append(value)
        return cls(tuple((key, tuple(values)) for key, values in accepted.items()))

    def __bool__(self) -> bool:
        return bool(self.accepted)

    def __str__(self) -> str:
        """The text used in error messages."""
        return ", ".join(
            f"{key} {' or '.join(value or '(none)' for value in values)}"
            for key, values in self.accepted
        )

    @property
    def texts(self) -> list[str]:
        """The texts from which it can be parsed."""
        return [f"{key}:{value}" for key, values in self.accepted for value in values]

    @property
    def in_sql(self) -> str | None:
        """The filter as functions of SQL take it: JSON, or None if there is none."""
        return json.dumps({key: list(values) for key, values in self.accepted}) if self else None


NO_TAGS = TagFilter()
