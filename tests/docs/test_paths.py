"""Paths named in documents, comments and docstrings are those of files that exist."""

import ast
import re
import tokenize
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("app", "bench", "client", "deploy", "docs", "grafana", "migrations", "sql", "tests")
# A path from the repository's root, not one within a URL or below another folder.
PATH = re.compile(rf"(?<![\w./:{{-])(?:{'|'.join(FOLDERS)}|\.ci)/[\w.*{{}}/-]*")
# A file named without its folder; `name.sql` stands for any.
BARE = re.compile(r"(?<![\w./*{}-])(?!NNNN|name\.)\w[\w.-]*\.(?:py|sql)\b(?![\w/(])")
# Not one file: patterns, and names that the reader chooses.
PLACEHOLDER = re.compile(r"[*{}]|NNNN")
COMMENT = {".sql": r"--.*", ".yml": r"#.*", ".yaml": r"#.*", ".toml": r"#.*", ".conf": r"#.*"}
# Created by the operator, who has a certificate.
NOT_OURS = re.compile(r"deploy/nginx/tls/")


@cache
def files():
    """Every file of ours whose comments or text name paths."""
    wanted = {".py", ".md", *COMMENT}
    below = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))
    top = (path for path in ROOT.iterdir() if path.is_file())
    named = [path for path in (*below, *top) if path.suffix in wanted]
    extra = [ROOT / "Makefile", ROOT / "Dockerfile", ROOT / ".ci/run"]
    return sorted(path.relative_to(ROOT) for path in [*named, *extra])


@cache
def prose(path):
    """Text for the reader of a file: all of a document, comments and docstrings of code."""
    text = path.read_text()
    if path.suffix == ".py":
        return "\n".join([*docstrings(text), *comments(path)])
    if path.suffix == ".md":
        return text
    return "\n".join(re.findall(COMMENT.get(path.suffix, r"#.*"), text))


def docstrings(text):
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, kinds) and (said := ast.get_docstring(node)):
            yield said


def comments(path):
    with tokenize.open(path) as file:
        tokens = tokenize.generate_tokens(file.readline)
        yield from [token.string for token in tokens if token.type == tokenize.COMMENT]


def named(text):
    """Paths that a text names, without the punctuation of its sentence."""
    found = {match.rstrip(".-/") for match in PATH.findall(text)}
    return {path for path in found if not PLACEHOLDER.search(path)}


@pytest.mark.parametrize("path", files(), ids=str)
def test_every_path_named_exists(path):
    ours = [name for name in sorted(named(prose(ROOT / path))) if not NOT_OURS.match(name)]

    assert [name for name in ours if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", files(), ids=str)
def test_every_file_named_without_its_folder_exists(path):
    known = {each.name for each in files()}

    assert set(BARE.findall(prose(ROOT / path))) <= known


def test_what_counts_as_a_path():
    text = """See app/cli/serve.py, `sql/views/`. Not https://x.org/app/x or /docs/y, docs/{id}.md,
        sql/versions/NNNN_name.up.sql, tests/*.py; but tests/gone.py and `lost.sql`."""

    assert named(text) == {"app/cli/serve.py", "sql/views", "tests/gone.py"}
    assert BARE.findall(text) == ["lost.sql"]
