"""What a release states: one version, one licence, and what the packages say of themselves."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import truthline
from click.testing import CliRunner

from app.cli import main

ROOT = Path(__file__).parents[2]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
PROJECTS = {
    name: tomllib.loads((ROOT / path).read_text())["project"]
    for name, path in (
        ("truthline-server", "pyproject.toml"),
        ("truthline", "client/pyproject.toml"),
    )
}
SEMANTIC = r"\d+\.\d+\.\d+"


@pytest.mark.parametrize("package", PROJECTS)
def test_both_packages_have_the_version_of_the_one_file(package):
    assert "version" in PROJECTS[package]["dynamic"]
    assert metadata.version(package) == truthline.__version__


def test_the_command_and_the_changelog_state_it():
    newest = re.search(rf"^## ({SEMANTIC})", CHANGELOG, re.MULTILINE)[1]

    stated = CliRunner().invoke(main, ["--version"]).output

    assert re.findall(SEMANTIC, stated) == [truthline.__version__]
    assert newest == truthline.__version__


def test_it_is_written_nowhere_else():
    pattern = re.compile(r"^\s*(__version__|version)\s*=\s*[\"']\d", re.MULTILINE)
    sources = [
        *ROOT.glob("*.toml"),
        *(ROOT / "client").rglob("*.toml"),
        *(
            path
            for folder in ("app", "client", "migrations")
            for path in (ROOT / folder).rglob("*.py")
        ),
    ]

    writing = [path for path in sources if pattern.search(path.read_text())]

    assert writing == [ROOT / "client/truthline/version.py"]


@pytest.mark.parametrize("project", PROJECTS.values(), ids=PROJECTS)
def test_each_package_states_its_licence_and_its_home(project):
    assert project["license"] == "Apache-2.0"
    assert project["license-files"] == ["LICENSE"]
    assert {"Homepage", "Documentation", "Changelog", "Issues"} <= project["urls"].keys()


def test_the_licence_is_whole_and_the_same_in_both():
    text = (ROOT / "LICENSE").read_text()

    assert "Apache License\n                           Version 2.0" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert (ROOT / "client/LICENSE").read_text() == text


def test_no_one_uploads_the_server():
    assert "Private :: Do Not Upload" in PROJECTS["truthline-server"]["classifiers"]
    assert "Private :: Do Not Upload" not in PROJECTS["truthline"]["classifiers"]


def test_no_document_installs_the_server_with_pip():
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *(ROOT / "app").rglob("*.py")]

    assert not [
        path for path in files if re.search(r"pip install.*truthline-server", path.read_text())
    ]


def test_the_lock_files_are_up_to_date_with_the_extras():
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    extras = PROJECTS["truthline-server"]["optional-dependencies"].values()
    asked = {re.match(r"[\w-]+", line)[0].lower() for extra in extras for line in extra}

    assert asked <= set(pinned)
