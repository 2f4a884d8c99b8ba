"""Documents are accurate: the settings, endpoints, tables and functions that they name exist."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from sqlalchemy import text

from app.config import FILE_SUFFIX, PREFIX, SECRETS, Settings
from app.errors import TruthlineError

ROOT = Path(__file__).parents[2]
# Of compose, of the tests, and of the client and its notebook.
OTHER_VARIABLES = {
    "TRUTHLINE_DB_PASSWORD",
    "TRUTHLINE_EXECUTION_ID",
    "TRUTHLINE_KEY",
    "TRUTHLINE_TEST_DATABASE_URL",
    "TRUTHLINE_TEST_EDITION",
    "TRUTHLINE_URL",
}
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "sql/*.md", "client/*.md")
    for path in ROOT.glob(pattern)
)


def rows(document, first_cell):
    """Cells of the table rows whose first cell matches."""
    lines = (ROOT / document).read_text().splitlines()
    tables = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    return [cells for cells in tables if re.fullmatch(first_cell, cells[0])]


def test_every_setting_has_its_row_with_its_default():
    documented = {row[0].strip("`"): row[1].strip("`") for row in rows("docs/settings.md", "`T.*`")}

    assert documented == {
        PREFIX + field.name.upper(): str(field.default) for field in fields(Settings)
    }


def test_every_native_path_is_in_the_api_page(app):
    said = (ROOT / "docs/api.md").read_text()
    rules = [re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule) for rule in app.url_map.iter_rules()]
    paths = {rule for rule in rules if not rule.startswith(("/docs", "/web/"))}
    below = {"/metrics-server/api/v1"}

    missing = [
        p
        for p in paths - {"/", "/openapi.json"}
        if p not in said and not any(p.startswith(prefix) for prefix in below)
    ]
    assert missing == []


@pytest.mark.parametrize(
    "title",
    [
        "`truthline`: public",
        "`truthline_internal`: machinery",
        "`truthline_data`: functions",
        "`truthline_data`: tables",
    ],
)
def test_the_sql_page_lists_what_there_is(database, title):
    catalog = {
        "`truthline`: public": """
            SELECT proname FROM pg_proc WHERE pronamespace = 'truthline'::regnamespace
            UNION SELECT relname FROM pg_class
            WHERE relnamespace = 'truthline'::regnamespace AND relkind = 'v'
        """,
        "`truthline_internal`: machinery": """
            SELECT proname FROM pg_proc WHERE pronamespace = 'truthline_internal'::regnamespace
            UNION SELECT relname FROM pg_class
            WHERE relnamespace = 'truthline_internal'::regnamespace
        """,
        "`truthline_data`: functions": """
            SELECT proname FROM pg_proc WHERE pronamespace = 'truthline_data'::regnamespace
        """,
        # levels are tables or continuous aggregates, which look like views
        "`truthline_data`: tables": """
            SELECT relname FROM pg_class
            WHERE relnamespace = 'truthline_data'::regnamespace AND relkind IN ('r', 'p', 'v')
        """,
    }
    page = (ROOT / "sql/README.md").read_text().split("\n## ")
    section = next(part for part in page if part.startswith(f"Schema {title}\n"))
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    listed = set(re.findall(r"`(\w+)", " ".join(first_cells)))
    with database.reading() as conn:
        assert listed == set(conn.execute(text(catalog[title])).scalars())


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_between_documents_lead_somewhere(document):
    here = (ROOT / document).parent
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", (ROOT / document).read_text()):
        assert (here / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_commands_and_variables_of_documents_exist(document):
    written = (ROOT / document).read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z.-]+):", makefile, re.MULTILINE))
    variables = {PREFIX + field.name.upper() for field in fields(Settings)}
    variables |= {f"{PREFIX}{name.upper()}{FILE_SUFFIX}" for name in SECRETS}

    assert set(re.findall(r"`(?:\w+=\w+ )*make ([a-z.-]+)`", written)) <= targets
    assert set(re.findall(r"\bTRUTHLINE_[A-Z_]+\b", written)) <= variables | OTHER_VARIABLES


def test_the_tree_of_failures_is_the_one_drawn():
    import app.errors  # noqa: PLC0415 - its text is the subject

    drawn = set(re.findall(r"[├└]── (\w+)", app.errors.__doc__))
    defined = {
        kind.__name__
        for kind in vars(app.errors).values()
        if isinstance(kind, type) and issubclass(kind, TruthlineError)
    }
    assert drawn == defined - {"TruthlineError"}
