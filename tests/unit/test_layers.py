"""The rooms of `app/` import only from upstream: the `ls` is the architecture."""

import ast
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "app"
EVERYWHERE = {"errors", "config", "csvtext", "logs"}
MAY_IMPORT = {
    "store": set(),
    "ingest": {"store"},
    "auth": {"store"},
    "rollup": {"store"},
    "query": {"rollup", "store"},
    "api": {"auth", "ingest", "query", "store"},
    "web": {"auth", "query", "store"},
    "demo": {"auth", "ingest", "query", "store"},
    "cli": {"auth", "demo", "ingest", "query", "rollup", "store", "factory"},
}
FILES = sorted(path.relative_to(APP) for path in APP.glob("*/**/*.py"))


def imported_rooms(path):
    """Rooms that a file imports from, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("app"):
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_room_imports_only_from_upstream(path):
    room = path.parts[0]

    assert set(imported_rooms(APP / path)) <= MAY_IMPORT[room] | {room} | EVERYWHERE


def test_every_room_has_its_rule():
    assert {path.parts[0] for path in FILES} <= MAY_IMPORT.keys()


def test_names_of_failures_know_no_http():
    assert "http" not in (APP / "errors.py").read_text().replace("No HTTP here", "").lower()


@pytest.mark.parametrize("path", FILES, ids=str)
def test_no_file_outgrows_one_meaning(path):
    assert len((APP / path).read_text().splitlines()) <= 500
