"""Truths of stored predictions are joined without owning their requests, and still exactly once."""

import io
from contextlib import contextmanager
from threading import Thread

import pytest
from sqlalchemy import text

from app.config import Settings
from app.errors import Unavailable
from app.ingest import stored_truths
from app.ingest.batch import BatchKey, Verdict
from app.ingest.bulk import feedback as bulk_feedback
from app.ingest.bulk.checked import TRUTHS
from app.ingest.bulk.formats import ARROW, read_chunks
from app.ingest.bulk.ingest import BulkIngest
from app.ingest.feedback import ingest_feedback
from app.ingest.keys import lock_requests
from app.ingest.predictions import ingest_predictions
from app.store.database import Database
from app.store.request_keys import request_key
from tests.ingest.bulk.test_joins import predictions, truths
from tests.ingest.bulk.told import SPOOL, bulk
from tests.ingest.crowd import (
    at_once,
    databases,
    joined,
    known_truths,
    model_id,
    new_model,
    prediction,
    truth,
    waiting,
)
from tests.ingest.test_neighbours import before_commit, in_a_moment

POLLS = 600
BLOCKED = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
""")


@pytest.fixture(autouse=True)
def _directly(monkeypatch):
    """A few truths are joined as many are."""
    monkeypatch.setattr(stored_truths, "FEW", 0)


@pytest.fixture
def pair(shared_settings):
    """Two processes."""
    with databases(shared_settings.database_url, 2) as opened:
        yield opened


@contextmanager
def until_blocked(database, call):
    """Call in a thread, and go on once it waits for a lock; it has ended after the block."""
    thread = Thread(target=call)
    thread.start()
    with database.outside_transactions() as conn:
        for _ in range(POLLS):
            if conn.execute(BLOCKED).scalar_one():
                break
            thread.join(0.05)
    assert thread.is_alive()
    yield thread


def test_an_answer_that_is_stored_at_the_moment_gets_the_truth_too(pair, database, workspace):
    """The truth waits for the key that the challenger's writer holds, and then looks again."""
    busy, other = pair
    model = new_model()
    ingest_predictions(database, workspace.id, [prediction(model, 0, version="champion")])
    threads = []

    def learn():
        ingest_feedback(other, workspace.id, [truth(model, 0)])

    def meanwhile():
        with until_blocked(database, learn) as thread:
            threads.append(thread)

    with before_commit(busy, meanwhile):
        ingest_predictions(busy, workspace.id, [prediction(model, 0, version="challenger")])
    threads[0].join()

    assert joined(database, workspace, model) == {
        ("r0", version, "yes", "yes"): 1 for version in ("champion", "challenger")
    }


def test_the_owner_of_a_request_holds_off_its_truths(pair, database, workspace):
    owner, other = pair
    model = new_model()
    ingest_predictions(database, workspace.id, [prediction(model, 0)])
    in_a_moment(other)

    with owner.writing() as conn:
        lock_requests(conn, [(model_id(database, workspace, model), request_key("r0"))])
        with pytest.raises(Unavailable, match="took too long"):
            ingest_feedback(other, workspace.id, [truth(model, 0)])

    assert joined(database, workspace, model) == {}


@pytest.mark.parametrize("earlier", ["yes", None])
def test_a_correction_takes_back_what_was_stored_at_the_moment(pair, database, workspace, earlier):
    """It waits for the writer of the other one, and then reads its truth."""
    busy, other = pair
    model = new_model()
    ingest_predictions(database, workspace.id, [prediction(model, 0)])
    if earlier:
        ingest_feedback(database, workspace.id, [truth(model, 0, earlier)])
    threads = []

    def correct():
        ingest_feedback(other, workspace.id, [truth(model, 0, "maybe")])

    def meanwhile():
        with until_blocked(database, correct) as thread:
            threads.append(thread)

    with before_commit(busy, meanwhile):
        ingest_feedback(busy, workspace.id, [truth(model, 0, "no")])
    threads[0].join()

    assert joined(database, workspace, model) == {("r0", "", "yes", "maybe"): 1}
    assert known_truths(database, workspace, model) == [("", "maybe")]


def test_an_older_truth_that_is_pending_is_superseded(database, workspace):
    """One that its writer has not joined yet."""
    model = new_model()
    ingest_predictions(database, workspace.id, [prediction(model, n) for n in range(2)])
    with database.writing() as conn:
        conn.execute(
            text("""
                INSERT INTO pending_feedback (model_id, key, batch_index, actual_label, request_id)
                SELECT model_id, key, 0, predicted_label, 'r0' FROM prediction_key
                WHERE model_id = :model_id AND key = :key
            """),
            {"model_id": model_id(database, workspace, model), "key": request_key("r0")},
        )

    verdict = ingest_feedback(database, workspace.id, [truth(model, n, "no") for n in range(2)])

    assert verdict == Verdict(2, 0)
    assert waiting(database, workspace, model) == []
    assert joined(database, workspace, model) == {
        ("r0", "", "yes", "no"): 1,
        ("r1", "", "yes", "no"): 1,
    }


def test_each_truth_of_a_mixed_batch_is_what_it_is(database, workspace):
    model = new_model()
    ingest_predictions(database, workspace.id, [prediction(model, n) for n in range(3)])
    ingest_feedback(database, workspace.id, [truth(model, 1), truth(model, 2)])
    said = [truth(model, 0), truth(model, 1), truth(model, 2, "no"), truth(model, 3)]

    verdict = ingest_feedback(database, workspace.id, said)

    assert verdict == Verdict(accepted=3, duplicates=1, pending=1)
    assert joined(database, workspace, model) == {
        ("r0", "", "yes", "yes"): 1,
        ("r1", "", "yes", "yes"): 1,
        ("r2", "", "yes", "no"): 1,
    }
    assert waiting(database, workspace, model) == ["r3"]


@pytest.mark.parametrize("numbers", [range(2000), range(1999, -1, -1)])
def test_corrections_by_one_and_in_bulk_leave_one_truth(database, workspace, numbers):
    model = new_model()
    bulk(database, workspace.id, ARROW, predictions(model))

    at_once(
        *[
            lambda label=label: bulk(
                database, workspace.id, ARROW, truths(model, numbers, label), TRUTHS
            )
            for label in ("yes", "no")
        ],
        lambda: ingest_feedback(
            database, workspace.id, [truth(model, n, "maybe") for n in range(500)]
        ),
    )

    standing = joined(database, workspace, model)
    assert set(standing.values()) == {1}
    assert len(standing) == 2000
    assert sorted(actual for *_, actual in standing) == sorted(
        actual for _, actual in known_truths(database, workspace, model)
    )


def test_a_deadlock_is_resolved(monkeypatch):
    """The second attempt owns all requests first."""
    attempts = []

    def store(directly):
        attempts.append(directly)
        if directly:
            raise Unavailable from Exception
        return "stored"

    monkeypatch.setattr(stored_truths, "is_deadlock", lambda _error: True)
    assert stored_truths.directly_or_owned(1, store) == "stored"
    assert attempts == [True, False]

    monkeypatch.setattr(stored_truths, "is_deadlock", lambda _error: False)
    with pytest.raises(Unavailable):
        stored_truths.directly_or_owned(1, store)


def test_a_bulk_batch_that_broke_off_is_completed_once(database, workspace, monkeypatch):
    """Its parts are transactions of their own, and each remembers that it was stored."""
    monkeypatch.setattr(bulk_feedback, "PART_ROWS", 500)
    model, numbers = new_model(), range(2000)
    bulk(database, workspace.id, ARROW, predictions(model, numbers))
    stored, calls = bulk_feedback.learn_stored, []

    def learn(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise Unavailable
        return stored(*arguments)

    with monkeypatch.context() as broken:
        broken.setattr(bulk_feedback, "learn_stored", learn)
        with pytest.raises(Unavailable):
            send(database, workspace, truths(model, numbers))
    half = len(joined(database, workspace, model))
    rest = send(database, workspace, truths(model, numbers))
    ingest_feedback(database, workspace.id, [truth(model, n, "no") for n in numbers])
    again = send(database, workspace, truths(model, numbers))

    assert 0 < half < len(numbers)
    assert (rest.accepted, rest.duplicates) == (len(numbers) - half, half)
    assert (again.accepted, again.duplicates) == (0, len(numbers))
    assert {actual for *_, actual in joined(database, workspace, model)} == {"no"}


def send(database, workspace, body):
    """Store a body with an idempotency key."""
    ingest = BulkIngest(
        database,
        workspace.id,
        TRUTHS,
        lambda number, chunk: BatchKey(f"truths[{number}]", "key", chunk.digest()),
    )
    for chunk in read_chunks(ARROW, io.BytesIO(body), TRUTHS.row_type, spool_bytes=SPOOL):
        ingest.store(chunk)
    return ingest.verdict


def test_truths_take_the_room_that_pages_of_keys_have(fresh_database_url):
    """Rows and index stay as large as without truths, up to a fifth."""
    database, number = Database.from_settings(Settings(database_url=fresh_database_url)), 40_000
    model = new_model()
    try:
        bulk(database, 1, ARROW, predictions(model, range(number)))
        before = size_of_keys(database)
        for label in ("yes", "no"):
            verdict = bulk(database, 1, ARROW, truths(model, range(number), label), TRUTHS)
            assert verdict.accepted == number
        assert size_of_keys(database) <= before * 1.2
    finally:
        database.dispose()


def size_of_keys(database):
    with database.reading() as conn:
        return conn.execute(text("SELECT pg_total_relation_size('prediction_key')")).scalar_one()
