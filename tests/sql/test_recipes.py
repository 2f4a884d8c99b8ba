"""The recipes of docs/sql.md, played on a database in use."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs/sql.md").read_text()
RECIPES = re.findall(r"\n([^\n]+)\n\n```sql\n(.*?)```", PAGE, re.DOTALL)


def test_all_are_found():
    assert len(RECIPES) == PAGE.count("```sql") > 15


@pytest.mark.parametrize(
    "query", [query for _, query in RECIPES], ids=[name for name, _ in RECIPES]
)
def test_a_recipe_answers(analyst, query):
    """As an analyst's role, because analysts read that page."""
    rows = analyst.execute(query).fetchall()

    assert rows
    for column in zip(*rows, strict=True):
        assert any(value is not None for value in column)
