"""CSV that spreadsheets parse as text and numbers, whatever the names of models and executions.

Spreadsheets treat a cell that begins with one of =+-@ as a formula, which may send data elsewhere.
A leading apostrophe, which they understand, makes it text again.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

# At the start of a cell, or after a semicolon, which separates cells for some spreadsheets. Excel
# also accepts the wide forms of East Asia.
_FORMULA = re.compile(r"(^|[;|\t\r\n])(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n])")
# What every text that is changed has: most texts have none of it.
_DOUBTFUL = re.compile(r"^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[;|\t\r\n]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def to_csv(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV; None is an empty cell, numbers keep all digits, and no text is a formula."""
    text = io.StringIO()
    csv.writer(text).writerows([_safe(cell) for cell in row] for row in rows)
    return text.getvalue()


def _safe(cell: Any) -> Any:
    if not isinstance(cell, str) or not _DOUBTFUL.search(cell) or _NUMBER.fullmatch(cell):
        return cell
    return _FORMULA.sub(r"\1'", cell)
