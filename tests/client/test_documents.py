"""The client's page runs as it stands, and shows what it says."""

import ast
import contextlib
import inspect
import io
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import truthline
import truthline.errors

from app.auth.keys import Role, create_key
from app.auth.workspaces import find_or_create_workspace

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "client.md").read_text()
ROOT = DOCS.parent
READMES = ("README.md", "client/README.md")
OLDEST = "3.10"


def code_of(page):
    return "".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))


def run(code, names):
    """Execute statements; what ends in a comment is compared with it, and what is printed."""
    lines = code.splitlines()
    for statement in ast.parse(code).body:
        _, _, comment = lines[statement.end_lineno - 1].partition("  # ")
        text = ast.unparse(statement)
        if isinstance(statement, ast.Expr) and comment:
            yield text, repr(eval(text, names)), comment  # noqa: S307 - the page's own
        else:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(text, names)  # noqa: S102 - the page's own
            inside = "\n".join(lines[statement.lineno - 1 : statement.end_lineno])
            for comment in re.findall(r"^ +print\(.*\)  # (.*)$", inside, re.MULTILINE):
                yield text, out.getvalue().rstrip(), comment


@pytest.fixture(scope="module")
def compared(url, database):
    """(expression, its value, what the page says) of the whole page, in a workspace of its own."""
    with database.writing() as conn:
        key = create_key(conn, find_or_create_workspace(conn, "client-page"), Role.ADMIN)
    code = code_of(PAGE).replace("http://127.0.0.1:8000", url).replace("tl_...", key)
    return list(run(code, {}))


def test_the_page_shows_the_actual_output(compared):
    assert len(compared) > 15
    for expression, value, said in compared:
        assert value.replace("np.int64(1)", "1") == said, expression


@pytest.mark.parametrize("page", READMES)
def test_the_readmes_run(url, workspace, page, monkeypatch):
    monkeypatch.setenv("TRUTHLINE_URL", url)
    monkeypatch.setenv("TRUTHLINE_KEY", workspace.admin_key)
    code = re.sub(r"Client\(.*?\)", "Client()", code_of((ROOT / page).read_text()))
    names: dict = {}
    exec(code, names)  # noqa: S102 - the page's own
    with names["client"] as client:
        assert client.flush(10)
        assert client.stats().total.sent == 2


def test_they_run_on_the_oldest_python(tmp_path):
    """By mypy: what isn't in the library of that version is an error."""
    notebook = nbformat.read(DOCS / "notebooks/metrics.ipynb", as_version=4)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    pages = [code_of((ROOT / page).read_text()) for page in (*READMES, "docs/client.md")]
    for number, code in enumerate(["\n".join(cells), *pages]):
        (tmp_path / f"page{number}.py").write_text(code)
    command = [sys.executable, "-m", "mypy", "--python-version", OLDEST, "--cache-dir", tmp_path]
    command += ["--config-file=", "--follow-imports=skip", "--check-untyped-defs"]
    command += ["--disable-error-code=import-untyped"]
    found = subprocess.run(
        [*command, *sorted(tmp_path.glob("*.py"))],
        cwd=ROOT / "client",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert found.returncode == 0, found.stdout


def test_the_page_has_each_picture_and_no_other():
    drawn = {path.name for path in (DOCS / "pictures").glob("*.png")}

    assert set(re.findall(r"\(pictures/([\w-]+\.png)\)", PAGE)) == drawn


def test_the_page_describes_each_method():
    methods = [name for name, _ in inspect.getmembers(truthline.Client, inspect.isfunction)]

    assert [n for n in methods if not n.startswith("_") and f"{n}(" not in PAGE] == []


def test_the_page_draws_the_tree_of_errors():
    tree = truthline.errors.__doc__.partition("TruthlineError")[2].strip()

    assert tree in PAGE
