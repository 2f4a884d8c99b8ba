"""Peers in environments of their own, asked by lines: a question in JSON, an answer in JSON.

`make bench` makes the environments from the lock files of this folder. The scripts `*_peer.py` run
in them, and import nothing of Truthline.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ENVIRONMENTS = Path(sys.prefix)


class Peer:
    """A process that answers."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.versions: dict[str, str] = self._answer()

    def ask(self, **question: Any) -> dict[str, Any]:
        """The answer; `seconds` is what it took within the process."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def seconds(self, **question: Any) -> float:
        """The seconds alone."""
        return float(self.ask(**question)["seconds"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a peer ended; it says why above")
        answer: dict[str, Any] = json.loads(line)
        return answer


def environment(name: str) -> Path:
    """The programs of a peer's environment."""
    return ENVIRONMENTS / name / "bin"


def installed(name: str) -> bool:
    """Whether a peer's environment has been made; prints a line if not."""
    found = (environment(name) / "python").exists()
    if not found:
        print(f"left out: there is no environment {name}; `make bench` makes it")
    return found


@contextmanager
def running(name: str, script: str, *arguments: str, **variables: str) -> Iterator[Peer]:
    """A peer that has said it is ready."""
    with subprocess.Popen(
        [environment(name) / "python", Path(__file__).with_name(f"{script}.py"), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | variables,
    ) as process:
        try:
            yield Peer(process)
        finally:
            process.terminate()
