"""CSV that spreadsheets read as text and numbers, whatever names models and executions have.

A cell that begins with one of =+-@ is a formula to a spreadsheet, and may send what it sees
elsewhere. An apostrophe before it, which spreadsheets know, makes it text again.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

# At the start of a cell, or of what some spreadsheets take for one: where a semicolon separates.
# Excel also knows the wide forms of East Asia.
_FORMULA = re.compile(r"(^|[;|\t\r\n])(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n])")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def to_csv(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV; None is an empty cell, a number keeps all its digits, no text is a formula."""
    text = io.StringIO()
    csv.writer(text).writerows([_safe(cell) for cell in row] for row in rows)
    return text.getvalue()


def _safe(cell: Any) -> Any:
    if not isinstance(cell, str) or _NUMBER.fullmatch(cell):
        return cell
    return _FORMULA.sub(r"\1'", cell)
