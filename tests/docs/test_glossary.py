"""Every name in the glossary exists: on the wire, in Python, in SQL."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COLUMNS = {"wire": 2, "Python": 3, "SQL": 4}
# Names that the code is still to take over. Delete a name once it exists.
NOT_YET: dict[str, set[str]] = {
    "wire": set(),
    "Python": set(),
    "SQL": set(),
}


def text_of(*patterns: str) -> str:
    return "\n".join(path.read_text() for p in patterns for path in sorted(ROOT.glob(p)))


def names(column: int) -> set[str]:
    """Names in a column of the tables with a column for each language."""
    lines = (ROOT / "docs/glossary.md").read_text().split("## In code")[0].splitlines()
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("| ")]
    assert all(len(row) == len(rows[0]) for row in rows)
    return set(re.findall(r"`([^`]+)`", " ".join(row[column] for row in rows)))


def exists(name: str, text: str) -> bool:
    """Whether a name occurs, with any text for its ellipsis."""
    pattern = re.escape(name).replace("…", r"\w+")
    return re.search(rf"(?<!\w){pattern}(?!\w)", text) is not None


@pytest.mark.parametrize("language", COLUMNS)
def test_every_name_exists(language):
    python = text_of("app/**/*.py", "client/truthline/**/*.py")
    texts = {
        "wire": python + text_of("docs/[!g]*.md"),
        "Python": python,
        "SQL": text_of("sql/**/*.sql"),
    }
    missing = {n for n in names(COLUMNS[language]) if not exists(n, texts[language])}

    assert missing == NOT_YET[language]
