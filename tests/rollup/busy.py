"""A process that refreshes levels of short spans continuously, to be killed.

Run as `python -m tests.rollup.busy DATABASE_URL`.
"""

import sys
from collections import defaultdict

from app.config import Settings
from app.errors import Unavailable
from app.rollup import aggregates, recent
from app.rollup import fold as folding
from app.rollup.recent import Pace
from app.rollup.refresh import refresh
from app.store.database import Database


def main(url: str) -> None:
    folding.CLOCK_MARGIN = "0 s"
    recent.CLOCK_MARGIN = "0 s"
    aggregates.OPTIONS = {"buckets_per_batch": 0}
    database = Database.from_settings(Settings(database_url=url))
    sys.stdout.write("busy\n")
    sys.stdout.flush()
    while True:
        try:
            refresh(database, paces=defaultdict(lambda: Pace(pause=0.0, merged=0)))
        except Unavailable:
            database.dispose()


if __name__ == "__main__":
    main(sys.argv[1])
