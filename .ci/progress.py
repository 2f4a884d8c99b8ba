"""Tell in one line how far pip is: `pip install … | python .ci/progress.py LOCK`.

A terminal sees the line change; anything else gets a line per ten packages. Errors and warnings
don't come through the pipe.
"""

import re
import sys
import time
from pathlib import Path

NAME = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
STEP = 10


def main(lock: str) -> None:
    """Follow pip's output to its end."""
    total = len(set(NAME.findall(Path(lock).read_text())))
    began, fetched = time.monotonic(), 0
    for line in sys.stdin:
        if line.startswith(("Collecting ", "Processing ")):  # the latter from a local file
            fetched += 1
            tell(f"fetched {fetched} of {total} packages", whole=fetched % STEP == 0)
        elif line.startswith("Installing collected packages"):
            tell(f"installing {fetched} packages", whole=True)
    tell(f"done after {time.monotonic() - began:.0f} s", whole=True, last=True)


def tell(what: str, *, whole: bool, last: bool = False) -> None:
    """Write what is being done, over the last line if this is a terminal."""
    if sys.stdout.isatty():
        sys.stdout.write(f"\r  {what:<70}" + ("\n" if last else ""))
    elif whole:
        sys.stdout.write(f"  {what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
