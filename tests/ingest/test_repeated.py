"""The same batch from several writers at once is stored once."""

from functools import partial

import pytest

from app.ingest.batch import BatchKey, Verdict
from app.ingest.feedback import ingest_feedback
from app.ingest.predictions import ingest_predictions
from tests.ingest.crowd import (
    at_once,
    joined,
    new_model,
    prediction,
    shuffled,
    stored,
    truth,
    waiting,
)

WRITERS, ROWS = 8, 200


def totals(verdicts):
    return sum(v.accepted for v in verdicts), sum(v.duplicates for v in verdicts)


def test_the_same_requests_from_many_writers_are_stored_once(database, workspace):
    model = new_model()
    batch = [prediction(model, number) for number in range(ROWS)]
    send = partial(ingest_predictions, database, workspace.id)

    verdicts = at_once(*(partial(send, shuffled(batch, seed)) for seed in range(WRITERS)))

    assert totals(verdicts) == (ROWS, ROWS * (WRITERS - 1))
    assert stored(database, workspace, model) == sorted(row.request_id for row in batch)


def test_the_same_truths_from_many_writers_are_joined_once(database, workspace):
    model = new_model()
    ingest_predictions(database, workspace.id, [prediction(model, n) for n in range(ROWS)])
    truths = [truth(model, number) for number in range(ROWS)]
    send = partial(ingest_feedback, database, workspace.id)

    verdicts = at_once(*(partial(send, shuffled(truths, seed)) for seed in range(WRITERS)))

    assert totals(verdicts) == (ROWS, ROWS * (WRITERS - 1))
    assert joined(database, workspace, model) == {
        (f"r{number}", "", "yes", "yes"): 1 for number in range(ROWS)
    }


@pytest.mark.parametrize("ingest", [ingest_predictions, ingest_feedback])
def test_one_idempotency_key_lets_one_batch_in(database, workspace, ingest):
    model = new_model()
    make = prediction if ingest is ingest_predictions else truth
    batch = [make(model, number) for number in range(ROWS)]
    key = BatchKey.of("here", model, b"the batch")
    send = partial(ingest, database, workspace.id, batch, batch=key)

    verdicts = at_once(*[send] * WRITERS)

    first = Verdict(ROWS, 0, pending=0 if ingest is ingest_predictions else ROWS)
    assert sorted(verdicts, key=lambda verdict: verdict.accepted) == [
        *[Verdict(0, ROWS)] * (WRITERS - 1),
        first,
    ]
    rows = stored if ingest is ingest_predictions else waiting
    assert len(rows(database, workspace, model)) == ROWS


def test_one_idempotency_key_lets_requests_without_id_in_once(database, workspace):
    model = new_model()
    batch = [prediction(model, number, request_id=None) for number in range(ROWS)]
    key = BatchKey.of("here", model, b"the batch")
    send = partial(ingest_predictions, database, workspace.id, batch, batch=key)

    verdicts = at_once(*[send] * WRITERS)

    assert totals(verdicts) == (ROWS, ROWS * (WRITERS - 1))
    assert stored(database, workspace, model) == [None] * ROWS
