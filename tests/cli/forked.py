"""Commands in processes of their own, forked from one that has imported them already.

Most of what `truthline keys list` costs is the import. Lines in: arguments, environment, and the
files that its input and outputs are. Lines out: the exit code.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from app.cli import COMMANDS
from app.cli import main as truthline

PATIENCE = 60


@dataclass(frozen=True)
class Forker:
    """The process that forks."""

    process: subprocess.Popen[str]

    def run(
        self, *arguments: object, env: Mapping[str, str], typed: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run([*TRUTHLINE, *arguments])` would."""
        assert self.process.stdin
        assert self.process.stdout
        given = list(map(str, arguments))
        with tempfile.TemporaryDirectory(prefix="truthline-test-") as directory:
            files = [Path(directory) / name for name in ("in", "out", "err")]
            files[0].write_text(typed)
            self.process.stdin.write(json.dumps([given, dict(env), [*map(str, files)]]) + "\n")
            self.process.stdin.flush()
            code = int(self.process.stdout.readline())
            out, err = (file.read_text() for file in files[1:])
        return subprocess.CompletedProcess(given, code, out, err)


@contextmanager
def forker(env: Mapping[str, str]) -> Iterator[Forker]:
    """Start it, and let it end when its input does."""
    command = [sys.executable, "-m", "tests.cli.forked"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        yield Forker(process)


def _become(arguments: list[str], env: dict[str, str], files: list[str]) -> None:
    """Be the command, to the end of this process."""
    signal.alarm(PATIENCE)
    for number, (path, flags) in enumerate(
        zip(files, (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT), strict=True)
    ):
        os.dup2(os.open(path, flags, 0o600), number)
    os.environ.clear()
    os.environ.update(env)
    truthline(arguments, prog_name="truthline")


def _serve() -> None:
    # not `for line in sys.stdin`, for a child must find nothing that was read ahead
    while line := sys.stdin.readline():
        if child := os.fork():
            _, status = os.waitpid(child, 0)
            sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
            sys.stdout.flush()
        else:
            _become(*json.loads(line))


if __name__ == "__main__":
    for module, _ in COMMANDS.values():
        import_module(module)
    _serve()
