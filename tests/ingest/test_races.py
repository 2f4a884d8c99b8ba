"""Predictions and truths of the same requests, written concurrently."""

from functools import partial

import pytest

from app.ingest import stored_truths
from app.ingest.batch import Verdict
from app.ingest.feedback import ingest_feedback
from app.ingest.predictions import ingest_predictions
from tests.ingest.crowd import (
    at_once,
    chunks,
    joined,
    known_truths,
    new_model,
    prediction,
    shuffled,
    truth,
    waiting,
)

LABELS = ["yes", "no", "maybe"]


@pytest.fixture(params=[stored_truths.FEW, 0], ids=["owned", "directly"])
def both_ways(request, monkeypatch):
    """A few truths own their requests; then as many truths are joined."""
    monkeypatch.setattr(stored_truths, "FEW", request.param)


either_way = pytest.mark.usefixtures("both_ways")


def writer(ingest, database, workspace, batches):
    """Sends batches one after another; returns the verdicts."""
    return lambda: [ingest(database, workspace.id, batch) for batch in batches]


def pairs(numbers, versions=("",)):
    """What must be stored in the end: each prediction with its truth, once."""
    return {(f"r{n}", version, "yes", "yes"): 1 for n in numbers for version in versions}


@either_way
def test_a_truth_and_its_prediction_never_miss_each_other(database, workspace):
    """Small batches of the same requests, again and again started together."""
    model, rounds, size = new_model(), 120, 10
    numbers = range(rounds * size)

    for number, batch in enumerate(chunks(numbers, size)):
        predictions = [prediction(model, n) for n in shuffled(batch, number)]
        truths = [truth(model, n) for n in shuffled(batch, -number)]
        at_once(
            partial(ingest_predictions, database, workspace.id, predictions),
            partial(ingest_feedback, database, workspace.id, truths),
        )

    assert waiting(database, workspace, model) == []
    assert joined(database, workspace, model) == pairs(numbers)


def test_thousands_in_random_order_are_each_joined_once(database, workspace):
    model, writers, numbers = new_model(), 4, range(4000)
    predictions = chunks(shuffled([prediction(model, n) for n in numbers], 1), 40)
    truths = chunks(shuffled([truth(model, n) for n in numbers], 2), 40)
    write = partial(writer, database=database, workspace=workspace)

    at_once(
        *(write(ingest_predictions, batches=predictions[i::writers]) for i in range(writers)),
        *(write(ingest_feedback, batches=truths[i::writers]) for i in range(writers)),
    )

    assert waiting(database, workspace, model) == []
    assert joined(database, workspace, model) == pairs(numbers)


def test_champion_and_challenger_both_get_the_truth_that_waits(database, workspace):
    """Their batches run in opposite order, so that each holds what the other wants."""
    model, rounds, size = new_model(), 25, 100
    numbers = range(rounds * size)
    ingest_feedback(database, workspace.id, [truth(model, n) for n in numbers])

    for batch in chunks(numbers, size):
        champion = [prediction(model, n, version="champion") for n in batch]
        challenger = [prediction(model, n, version="challenger") for n in reversed(batch)]
        at_once(
            partial(ingest_predictions, database, workspace.id, champion),
            partial(ingest_predictions, database, workspace.id, challenger),
        )

    assert waiting(database, workspace, model) == []
    assert joined(database, workspace, model) == pairs(numbers, ["champion", "challenger"])


@either_way
def test_champion_challenger_and_truth_may_all_come_at_once(database, workspace):
    model, rounds, size = new_model(), 60, 10
    numbers = range(rounds * size)

    for number, batch in enumerate(chunks(numbers, size)):
        rows = {
            version: [prediction(model, n, version=version) for n in shuffled(batch, number)]
            for version in ("champion", "challenger")
        }
        at_once(
            *(partial(ingest_predictions, database, workspace.id, rows[v]) for v in rows),
            partial(ingest_feedback, database, workspace.id, [truth(model, n) for n in batch]),
        )

    assert waiting(database, workspace, model) == []
    assert joined(database, workspace, model) == pairs(numbers, ["champion", "challenger"])


@either_way
def test_corrections_from_many_writers_leave_one_truth(database, workspace):
    """The pair that stands is the one that the key remembers, in both versions."""
    model, writers, repeats = new_model(), 8, 25
    versions = ["champion", "challenger"]
    ingest_predictions(
        database, workspace.id, [prediction(model, 0, version=version) for version in versions]
    )
    said = [[truth(model, 0, LABELS[(i + j) % 3])] for i in range(writers) for j in range(repeats)]

    at_once(
        *(
            writer(ingest_feedback, database, workspace, batches)
            for batches in chunks(said, repeats)
        )
    )

    known = known_truths(database, workspace, model)
    assert joined(database, workspace, model) == {
        ("r0", version, "yes", actual): 1 for version, actual in known
    }
    assert len(known) == len(versions)
    assert len({actual for _, actual in known}) == 1


def test_the_same_requests_in_opposite_order_do_not_deadlock(database, workspace):
    model, rounds, size = new_model(), 12, 1000
    predict = partial(ingest_predictions, database, workspace.id)

    for batch in chunks([prediction(model, n) for n in range(rounds * size)], size):
        verdicts = at_once(partial(predict, batch), partial(predict, batch[::-1]))
        assert sum(verdict.accepted for verdict in verdicts) == size


def test_large_batches_in_opposite_order_do_not_deadlock(database, workspace):
    model, size = new_model(), 2000
    numbers = list(range(size))
    predictions = [prediction(model, n) for n in numbers]
    truths = [truth(model, n) for n in numbers]
    corrections = [truth(model, n, "no") for n in numbers]
    predict = partial(ingest_predictions, database, workspace.id)
    learn = partial(ingest_feedback, database, workspace.id)

    verdicts = at_once(
        *(partial(predict, rows) for rows in (predictions, predictions[::-1])),
        *(partial(learn, rows) for rows in (truths, truths[::-1])),
        *(partial(learn, rows) for rows in (corrections, corrections[::-1])),
    )

    assert sum((v.accepted for v in verdicts[:2]), 0) == size
    assert waiting(database, workspace, model) == []
    standing = joined(database, workspace, model)
    assert {request_id for request_id, *_ in standing} == {f"r{n}" for n in numbers}
    assert set(standing.values()) == {1}
    assert len(standing) == size


def test_waiting_truths_are_corrected_by_many_writers_without_deadlock(database, workspace):
    model, size = new_model(), 500
    batches = [[truth(model, n, label) for n in range(size)] for label in LABELS]
    learn = partial(ingest_feedback, database, workspace.id)

    verdicts = at_once(*(partial(learn, rows[::way]) for rows in batches for way in (1, -1)))

    assert all(verdict.accepted == verdict.pending for verdict in verdicts)
    assert len(waiting(database, workspace, model)) == size
    predicted = ingest_predictions(
        database, workspace.id, [prediction(model, n) for n in range(size)]
    )
    assert predicted == Verdict(size, 0)
    assert len(joined(database, workspace, model)) == size
