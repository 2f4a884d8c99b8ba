"""If a process is killed during a fold or refresh, no cell is lost or doubled."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from app.config import Settings
from app.embedded.server import Cluster, running
from app.errors import Unavailable
from app.rollup import aggregates, recent
from app.rollup import fold as folding
from app.rollup.refresh import refresh
from app.store.database import Database
from app.store.migration import upgrade
from tests.rollup.conftest import new_series, shorten
from tests.rollup.plain import differences
from tests.rollup.test_races import INSERT
from tests.servers import binaries, server_settings

ROUNDS = 4
CLEAN = text("""
    SELECT level.name, nullif(learned_since, '-infinity'), clean_until
    FROM truthline_internal.levels() JOIN level USING (name)
    WHERE clean_until > '-infinity' AND level.subject = 'outcome'
""")


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A server whose levels are folded and refreshed without a margin."""
    monkeypatch.setattr(folding, "CLOCK_MARGIN", "0 s")
    monkeypatch.setattr(recent, "CLOCK_MARGIN", "0 s")
    monkeypatch.setattr(aggregates, "OPTIONS", {"buckets_per_batch": 0})
    return killable(tmp_path)


def killable(directory):
    """A server of a test's own, which it may kill. Commits are as durable as by default."""
    durable = dict.fromkeys(("fsync", "full_page_writes", "synchronous_commit"), "on")
    settings = server_settings() | durable
    return Cluster(directory=directory, binaries=binaries(), settings=settings)


@contextmanager
def busy(url, module="tests.rollup.busy"):
    """Another process that does its work without pause: by default it folds or refreshes."""
    command = [sys.executable, "-m", module, url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout.readline() == b"busy\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def kill_worker(_cluster, process):
    process.kill()


def kill_backends(cluster, _process):
    """One of them is the worker's; the server then starts over by itself."""
    postmaster = postmaster_of(cluster)
    for child in psutil.Process(postmaster).children():
        if "truthline truthline" in " ".join(child.cmdline()):
            os.kill(child.pid, signal.SIGKILL)
            return


def kill_server(cluster, _process):
    """As if the power went: the server and all that it had begun."""
    postmaster = psutil.Process(postmaster_of(cluster))
    family = [postmaster, *postmaster.children(recursive=True)]
    for process in family:
        process.kill()
    psutil.wait_procs(family, timeout=10)


def postmaster_of(cluster):
    return int((Path(cluster.data) / "postmaster.pid").read_text().splitlines()[0])


def write_some(database, series):
    for _ in range(5):
        with database.writing() as conn:
            conn.execute(INSERT, {"series": series, "rows": 200})


def check(database, series):
    """Each level holds every row within its bounds once, and answers equal the raw rows."""
    with database.reading() as conn:
        for name, since, until in conn.execute(CLEAN).all():
            counted, there = conn.execute(
                text(f"""
                    SELECT (SELECT coalesce(sum(n), 0) FROM {name} WHERE learned < :until),
                           (SELECT count(*) FROM outcome WHERE received_at < :until
                            AND received_at >= coalesce(CAST(:since AS timestamptz), '-infinity'))
                """),
                {"since": since, "until": until},
            ).one()
            assert counted == there, name
        start, end = conn.execute(
            text("SELECT min(time), max(time) + interval '1 s' FROM outcome")
        ).one()
        question = {"start": start, "end": end, "width": None, "origin": None, "as_of": "infinity"}
        assert list(differences(conn, [series], question)) == []


@pytest.mark.parametrize("kill", [kill_worker, kill_backends, kill_server])
def test_no_cell_is_lost_or_doubled(cluster, kill):
    with running(cluster) as url:
        upgrade(url)
        database = Database.from_settings(Settings(database_url=url))
        with database.writing() as conn:
            shorten(conn)
        series = new_series(database)[0]
        for _ in range(ROUNDS):
            with busy(url) as process:
                write_some(database, series)
                time.sleep(random.uniform(0, 0.15))
                kill(cluster, process)
            database.dispose()
            with running(cluster):  # starts it again where it was killed
                wait_until_it_answers(database)
                check(database, series)
        refresh(database)
        check(database, series)
        with database.reading() as conn:
            assert conn.execute(text("SELECT count(*) FROM outcome")).scalar_one() == ROUNDS * 1000
            assert conn.execute(text("SELECT sum(n) FROM outcome_5m_1h")).scalar_one() > 1000
        database.dispose()


def wait_until_it_answers(database):
    deadline = time.monotonic() + 30
    while True:
        try:
            with database.reading() as conn:
                conn.execute(text("SELECT 1"))
                return
        except Unavailable:  # recovery is in progress
            assert time.monotonic() < deadline
            database.dispose()
            time.sleep(0.1)
