"""A process that judges and delivers without pause, to be killed.

Run as `python -m tests.monitors.busy DATABASE_URL`. Each round judges as of the next ten minutes of
the past, so that there is always something to do; it begins where the last one ended.
"""

import sys
from datetime import timedelta

from sqlalchemy import text

from app.config import Settings
from app.errors import Unavailable
from app.monitors import deliveries
from app.monitors.rounds import judge_due
from app.store.database import Database

STEP = timedelta(minutes=10)


def main(url: str) -> None:
    deliveries.LEASE = timedelta(milliseconds=300)
    settings = Settings(database_url=url, receiver_networks="127.0.0.0/8")
    database = Database.from_settings(settings)
    sys.stdout.write("busy\n")
    sys.stdout.flush()
    while True:
        try:
            with database.reading() as conn:
                as_of = conn.execute(text("SELECT as_of FROM monitor_round")).scalar_one()
            judge_due(database, as_of + STEP)
            deliveries.deliver_due(database, settings)
        except Unavailable:
            database.dispose()


if __name__ == "__main__":
    main(sys.argv[1])
