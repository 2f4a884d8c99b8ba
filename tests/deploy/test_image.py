"""The Dockerfile and what goes into the image."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.deploy.compose import ROOT

PIN = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def instructions(name: str) -> list[str]:
    """The arguments of every instruction of that name, lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return [line.split(maxsplit=1)[1] for line in text.splitlines() if line.startswith(name + " ")]


def pins(lock: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / lock).read_text()))


def test_it_does_not_run_as_root() -> None:
    user, _, group = instructions("USER")[-1].partition(":")
    assert int(user) >= 1000
    assert int(group) >= 1000


def test_both_stages_start_from_the_same_pinned_image() -> None:
    images = {line.split()[0] for line in instructions("FROM")}
    assert len(images) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", images.pop())


def test_the_copied_files_pass_the_ignore_file() -> None:
    ignored, *rest = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line[:1] not in ("#", "")
    ]
    allowed = {line.removeprefix("!") for line in rest if line.startswith("!")}
    copied = [line.split()[:-1] for line in instructions("COPY") if not line.startswith("--from")]
    assert ignored == "*"
    assert {name for names in copied for name in names} == allowed
    assert all((ROOT / name).exists() for name in allowed)


@pytest.mark.parametrize("part", ["runtime", "build", "demo"])
def test_a_partial_lock_agrees_with_the_whole(part: str) -> None:
    lock = f"requirements-{part}.lock"
    assert pins(lock)
    assert pins(lock).items() <= pins("requirements.lock").items()


@pytest.mark.parametrize(
    ("part", "extras"),
    [("runtime", ["bulk"]), ("demo", ["embedded", "bulk", "demo", "checkout"])],
)
def test_a_partial_lock_holds_every_dependency(part: str, extras: list[str]) -> None:
    """And nothing that only tests and checks need."""
    project = PROJECT["project"]
    lines = [project["dependencies"], *(project["optional-dependencies"][e] for e in extras)]
    needed = {re.match(r"[\w-]+", line)[0] for extra in lines for line in extra}
    held = set(pins(f"requirements-{part}.lock"))
    assert needed <= held
    assert not held & {"pytest", "playwright", "pandas", "polars", "mypy"}


def test_the_package_brings_its_migrations(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(ZipFile(wheel).namelist())
    written = [*ROOT.glob("migrations/**/*.py"), *ROOT.glob("sql/**/*.sql")]
    assert {str(path.relative_to(ROOT)) for path in written} <= packed
