"""A writer that fails half-way leaves nothing, and its retry finds nothing in the way."""

from collections import Counter
from itertools import islice

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError

from app.ingest import feedback, predictions
from app.ingest.batch import BatchKey, Verdict
from app.ingest.feedback import ingest_feedback
from app.ingest.predictions import ingest_predictions
from app.store.copy import copy_rows
from tests.ingest.crowd import (
    databases,
    joined,
    known_truths,
    new_model,
    prediction,
    stored,
    truth,
    waiting,
)

ROWS, BEFORE_FAILURE = 50, 20


class CableCutError(Exception):
    """What the test breaks a writer with."""


def cut(rows):
    """The first rows, and then a failure."""
    yield from islice(rows, BEFORE_FAILURE)
    raise CableCutError


def failing_at(failing_table):
    """The copy that ingest uses, until it comes to that table."""

    def copy(conn, table, columns, rows):
        copy_rows(conn, table, columns, cut(rows) if table == failing_table else rows)

    return copy


@pytest.fixture
def own_database(shared_settings):
    """A process that has seen nothing yet."""
    with databases(shared_settings.database_url, 1) as [database]:
        yield database


def batch_of_predictions(model):
    """With labels and versions that were never seen before."""
    return [
        prediction(model, number, label=f"{model} {number % 5}", version=f"v{number % 3}")
        for number in range(ROWS)
    ]


def assert_no_ghosts(database):
    """Every id that this process remembers is in the database."""
    registry = database.registry
    remembered = {
        "model": [model.id for model in registry._models._known.values()],
        "series": list(registry._series._known.values()),
        "label": list(registry._labels._known.values()),
    }
    with database.reading() as conn:
        for table, ids in remembered.items():
            found = conn.execute(
                text(f"SELECT count(*) FROM {table} WHERE id = ANY (:ids)"), {"ids": ids}
            )
            assert ids
            assert found.scalar_one() == len(set(ids))


@pytest.mark.parametrize("table", ["outcome", "prediction"])
def test_predictions_cut_off_are_not_there_and_can_be_sent_again(
    own_database, workspace, monkeypatch, table
):
    model = new_model()
    batch, key = batch_of_predictions(model), BatchKey.of("here", model, b"batch")
    truths = [truth(model, number, label="late") for number in range(ROWS)]
    ingest_feedback(own_database, workspace.id, truths)

    with monkeypatch.context() as patch:
        patch.setattr(predictions, "copy_rows", failing_at(table))
        with pytest.raises(CableCutError):
            ingest_predictions(own_database, workspace.id, batch, batch=key)

    assert stored(own_database, workspace, model) == []
    assert known_truths(own_database, workspace, model) == []
    assert joined(own_database, workspace, model) == {}
    assert len(waiting(own_database, workspace, model)) == ROWS
    assert_no_ghosts(own_database)

    assert ingest_predictions(own_database, workspace.id, batch, batch=key) == Verdict(ROWS, 0)
    assert len(stored(own_database, workspace, model)) == ROWS
    assert Counter(joined(own_database, workspace, model).values()) == {1: ROWS}
    assert waiting(own_database, workspace, model) == []
    assert_no_ghosts(own_database)


def test_truths_that_fail_after_their_join_are_not_there_and_can_be_sent_again(
    own_database, workspace, monkeypatch
):
    model = new_model()
    key = BatchKey.of("here", model, b"batch")
    ingest_predictions(own_database, workspace.id, [prediction(model, n) for n in range(ROWS)])
    truths = [truth(model, number, label=f"{model} truth") for number in range(ROWS)]

    with monkeypatch.context() as patch:
        patch.setattr(feedback, "_WAIT", text("SELECT 1 / 0"))
        with pytest.raises(DataError):
            ingest_feedback(own_database, workspace.id, truths, batch=key)

    assert joined(own_database, workspace, model) == {}
    assert known_truths(own_database, workspace, model) == [("", None)] * ROWS
    assert_no_ghosts(own_database)

    assert ingest_feedback(own_database, workspace.id, truths, batch=key) == Verdict(ROWS, 0)
    assert Counter(joined(own_database, workspace, model).values()) == {1: ROWS}
