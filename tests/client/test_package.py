"""The package as it is installed: with httpx alone, typed, and as its documents say."""

import ast
import email
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import truthline
import truthline.errors

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "client"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The built wheel."""
    directory = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(command, cwd=CLIENT, check=True, capture_output=True, timeout=60)
    (built,) = directory.glob("truthline-*.whl")
    return built


def test_the_wheel_holds_the_package_and_its_types(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {str(p.relative_to(CLIENT)) for p in (CLIENT / "truthline").rglob("*.py")}

    assert sources | {"truthline/py.typed"} == {n for n in names if n.startswith("truthline/")}


def test_the_wheel_says_what_it_is(wheel):
    packed = zipfile.ZipFile(wheel)
    (folder,) = {n.partition("/")[0] for n in packed.namelist() if ".dist-info/" in n}
    stated = email.message_from_bytes(packed.read(f"{folder}/METADATA"))
    urls = dict(line.split(", ", 1) for line in stated.get_all("Project-URL"))

    assert (stated["Name"], stated["Version"]) == ("truthline", truthline.__version__)
    assert (stated["License-Expression"], stated["License-File"]) == ("Apache-2.0", "LICENSE")
    assert "Typing :: Typed" in stated.get_all("Classifier")
    assert urls.keys() == {"Homepage", "Documentation", "Changelog", "Issues"}
    assert stated.get_payload() == (CLIENT / "README.md").read_text()
    assert packed.read(f"{folder}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_its_readme_can_be_read_anywhere():
    links = re.findall(r"\]\(([^)]+)\)", (CLIENT / "README.md").read_text())

    assert [link for link in links if not link.startswith("https://")] == []


IMPORTS = """
import sys
sys.path.insert(0, sys.argv[1])
for name in ("pandas", "plotly", "pyarrow", "polars", "numpy"):
    sys.modules[name] = None  # as if it weren't installed
import truthline
assert truthline.__file__.startswith(sys.argv[1])
with truthline.Client("http://127.0.0.1:9") as client:
    pass
heavy = {"pandas", "plotly", "pyarrow", "polars", "numpy", "flask", "sqlalchemy", "app"}
print(sorted(name for name in heavy if sys.modules.get(name)))
metrics = truthline.RegressionMetrics(truthline.Subject("m"), "UTC", True, (), None, ())
for ask in (metrics.to_pandas, metrics.plot):
    try:
        ask()
    except ImportError as error:
        print(error)
"""


def test_it_is_installed_from_a_checkout(tmp_path):
    """As the README says, but without a network: hatchling and httpx are here."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += [
        "--no-deps",
        "--no-build-isolation",
        "--no-compile",
        "--target",
        tmp_path,
        "./client",
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)

    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"truthline"}
    assert (tmp_path / "truthline/py.typed").exists()
    assert "pip install ./client" in (ROOT / "README.md").read_text()


def test_it_runs_from_its_wheel_with_httpx_alone(wheel):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORTS, str(wheel)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "[]",
        "this needs pandas; install it with: pip install 'truthline[pandas]'",
        "this needs plotly; install it with: pip install 'truthline[plot]'",
    ]


def test_it_asks_for_httpx_and_nothing_else():
    project = tomllib.loads((CLIENT / "pyproject.toml").read_text())["project"]

    assert [re.split(r"[<>=]", one)[0] for one in project["dependencies"]] == ["httpx"]
    assert project["requires-python"] == ">=3.10"


def test_what_is_exported_is_there():
    assert sorted(truthline.__all__, key=str.casefold) == sorted(
        set(truthline.__all__), key=str.casefold
    )
    assert all(hasattr(truthline, name) for name in truthline.__all__)


def test_the_tree_of_errors_is_the_one_drawn():
    drawn = set(re.findall(r"[├└]── (\w+)", truthline.errors.__doc__))
    defined = {
        kind.__name__
        for kind in vars(truthline.errors).values()
        if isinstance(kind, type) and issubclass(kind, truthline.TruthlineError)
    }

    assert drawn == defined - {"TruthlineError"}
    assert defined <= set(truthline.__all__)


@pytest.mark.parametrize("path", sorted((CLIENT / "truthline").rglob("*.py")), ids=str)
def test_files_stay_small(path):
    assert len(path.read_text().splitlines()) <= 400


def imported(path):
    """Packages that a file imports, other than for the type checker."""
    tree = ast.parse(path.read_text())
    checked = [n for n in tree.body if isinstance(n, ast.If)]
    for node in ast.walk(tree):
        if any(node in ast.walk(part) for part in checked):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("path", sorted((CLIENT / "truthline").rglob("*.py")), ids=str)
def test_it_knows_the_server_by_its_api_alone(path):
    assert set(imported(path)) <= {*sys.stdlib_module_names, "httpx", "truthline"}
