"""What a command costs before it does anything: CPU time, relative to Python that imports click.

Each command only prints its help, so what differs is what it imports. Run it with
`python -m bench.start [command ...]`; by default `--help` of all and of some commands.
"""

import resource
import subprocess
import sys
from collections.abc import Sequence

TRIES = 5
COMMANDS = (
    ["--help"],
    ["status", "--help"],
    ["keys", "--help"],
    ["serve", "--help"],
    ["demo", "--help"],
)


def main(commands: Sequence[Sequence[str]]) -> None:
    """Compare them."""
    bare = cpu_seconds(["-c", "import click"])
    print(f"{'CPU milliseconds':30}{bare * 1000:8.0f}   Python and click")
    for command in commands:
        taken = cpu_seconds(["-m", "app.cli", *command])
        print(f"{'truthline ' + ' '.join(command):30}{taken * 1000:8.0f}{taken / bare:8.1f} times")


def cpu_seconds(arguments: Sequence[str]) -> float:
    """Of the fastest of some tries."""
    return min(_once(arguments) for _ in range(TRIES))


def _once(arguments: Sequence[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main([[argument] for argument in sys.argv[1:]] or COMMANDS)
