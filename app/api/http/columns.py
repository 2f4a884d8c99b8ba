"""Tables of any length as NDJSON and CSV, written block by block.

`columnar.py` writes the same tables as Arrow and Parquet, if pyarrow is installed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from app.api.http.numbers import utc_time
from app.csvtext import to_csv

NDJSON = "application/x-ndjson"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
TAG = "tag_"


class Type(StrEnum):
    """What a column has."""

    TEXT = "text"
    TIME = "time"
    NUMBER = "number"
    INTEGER = "integer"
    FLAG = "flag"
    DETECTIONS = "detections"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table; `tags` are the keys of tags, each of which is a column of text."""

    columns: Sequence[Column]
    tags: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """The names of all columns."""
        return [*(column.name for column in self.columns), *(f"{TAG}{key}" for key in self.tags)]


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a table: values by column, along its layout, and the tags of each row."""

    columns: Sequence[Sequence[Any]]
    tags: Sequence[Mapping[str, str]]

    def with_tags(self, layout: Layout) -> Iterator[Sequence[Any]]:
        """All columns: those of tags too, with None where a row doesn't have the tag."""
        yield from self.columns
        for key in layout.tags:
            yield [tags.get(key) for tags in self.tags]


Blocks = Iterator[Block]
Write = Callable[[Layout, Blocks, Mapping[str, str]], Iterator[bytes]]


def write_ndjson(layout: Layout, blocks: Blocks, _about: Mapping[str, str]) -> Iterator[bytes]:
    """One JSON object per line; tags are a member of it."""
    names = [column.name for column in layout.columns]
    encode = msgspec.json.Encoder().encode_lines
    for block in blocks:
        rows = [dict(zip(names, row, strict=True)) for row in zip(*block.columns, strict=True)]
        if layout.tags:
            for row, tags in zip(rows, block.tags, strict=True):
                row["tags"] = tags
        yield encode(rows)


def write_csv(layout: Layout, blocks: Blocks, _about: Mapping[str, str]) -> Iterator[bytes]:
    """A head line, and one line per row; None is an empty cell, and no text is a formula."""
    yield to_csv([layout.names]).encode()
    cells = [_CELLS.get(column.type) for column in layout.columns] + [None] * len(layout.tags)
    for block in blocks:
        columns = [
            values if cell is None else [None if value is None else cell(value) for value in values]
            for values, cell in zip(block.with_tags(layout), cells, strict=True)
        ]
        yield to_csv(zip(*columns, strict=True)).encode()


def _flag(value: bool) -> str:
    return "true" if value else "false"


_CELLS: Mapping[Type, Callable[[Any], str]] = {Type.TIME: utc_time, Type.FLAG: _flag}
