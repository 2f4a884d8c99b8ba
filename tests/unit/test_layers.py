"""The layout is the architecture: which room may import from which, and how long a file may be.

The rules stand in `pyproject.toml` (`tool.importlinter`) and in words in `docs/architecture.md`.
"""

import re
import tomllib
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).parents[2]
APP = ROOT / "app"
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
FILES = sorted(path.relative_to(APP) for path in APP.glob("**/*.py"))


def test_imports_keep_to_the_rooms(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)

    status = lint_imports(cache_dir=None)

    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_the_architecture_describes_every_room():
    folders = {path.parent.name for path in APP.glob("*/**/__init__.py")} - {"api"}

    rooms = re.findall(r"^\| `(?:api/)?(\w+)/`", ARCHITECTURE, re.MULTILINE)

    assert set(rooms) == folders


def test_the_architecture_states_the_layers_as_they_are_checked():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = contracts["contracts"][0]["layers"]

    assert "\n".join(f"    {layer}" for layer in layers) in ARCHITECTURE


def test_names_of_failures_know_no_http():
    assert "http" not in (APP / "errors.py").read_text().replace("No HTTP here", "").lower()


@pytest.mark.parametrize("path", FILES, ids=str)
def test_no_file_outgrows_one_meaning(path):
    assert len((APP / path).read_text().splitlines()) <= 500
