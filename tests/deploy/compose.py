"""docker-compose.yml as Compose reads it, with a filled-in .env."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
IMAGE = "truthline-server:local"
# What quoting gone wrong anywhere on the way would change.
PASSWORD = """it's "$HOME" \\ :'x' %s {0} """
REFERENCE = re.compile(r"\$\{(?P<name>\w+)(?P<operator>:-|:\?)(?P<text>[^}]*)\}")


def read_yaml(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path)


def example_environment() -> dict[str, str]:
    """The variables of .env.example and the values they have there."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def services() -> dict[str, dict[str, Any]]:
    """The services by name, every variable replaced; one password serves for all."""
    filled = {name: value or PASSWORD for name, value in example_environment().items()}
    read = _interpolated(read_yaml(COMPOSE_FILE), lambda match: filled[match["name"]])
    return cast("dict[str, dict[str, Any]]", read["services"])


def _interpolated(node: Any, value: Callable[[re.Match[str]], str]) -> Any:
    if isinstance(node, dict):
        return {key: _interpolated(item, value) for key, item in node.items()}
    if isinstance(node, list):
        return [_interpolated(item, value) for item in node]
    return REFERENCE.sub(value, node) if isinstance(node, str) else node
