"""What a command costs before it does anything: CPU time, relative to Python that imports click.

Each command only prints its help, so what differs is what it imports. Run it with
`python -m bench.start [command ...]`; by default `--help` of all and of some commands.
"""

import resource
import subprocess
import sys
from collections.abc import Sequence

from bench.report import Sample, heading, note
from bench.timing import limits

TRIES = 5
COMMANDS = (
    ["--help"],
    ["status", "--help"],
    ["keys", "--help"],
    ["serve", "--help"],
    ["demo", "--help"],
)


def main(commands: Sequence[Sequence[str]] = COMMANDS) -> None:
    """Compare them."""
    heading()
    bare = Sample("Python and click", cpu_seconds(["-c", "import click"]))
    for command in commands:
        ours = Sample("CPU time", cpu_seconds(["-m", "app.cli", *command]))
        note(f"truthline {' '.join(command)}", ours, bare)


def cpu_seconds(arguments: Sequence[str]) -> list[float]:
    """Of some tries."""
    limit = limits()
    return [_once(arguments) for _ in range(min(TRIES, limit.tries))]


def _once(arguments: Sequence[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main([[argument] for argument in sys.argv[1:]] or COMMANDS)
