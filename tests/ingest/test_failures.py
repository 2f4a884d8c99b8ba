"""A writer that fails half-way stores nothing, and its retry succeeds."""

from collections import Counter
from itertools import islice

import pytest
from sqlalchemy import text

from app.config import Settings
from app.ingest import feedback, joins, predictions
from app.ingest.batch import BatchKey, Verdict
from app.ingest.feedback import ingest_feedback
from app.ingest.predictions import ingest_predictions
from app.store.copy import copy_rows
from app.upkeep import housekeeping
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


def copy_cut(conn, table, columns, rows):
    """The copy that ingest uses, which fails at predictions."""
    copy_rows(conn, table, columns, cut(rows) if table == "prediction" else rows)


def cut_after(function):
    """The function, and then a failure."""

    def failing(*arguments):
        function(*arguments)
        raise CableCutError

    return failing


def cut_instead(*_):
    """A step that a writer never reaches."""
    raise CableCutError


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
        "series": list(registry.series._ids._known.values()),
        "label": list(registry._labels._known.values()),
    }
    with database.reading() as conn:
        for table, ids in remembered.items():
            found = conn.execute(
                text(f"SELECT count(*) FROM {table} WHERE id = ANY (:ids)"), {"ids": ids}
            )
            assert ids
            assert found.scalar_one() == len(set(ids))


@pytest.mark.parametrize(
    ("name", "failing"), [("copy_rows", copy_cut), ("join", cut_after(joins.join))]
)
def test_predictions_cut_off_are_not_there_and_can_be_sent_again(
    own_database, workspace, monkeypatch, name, failing
):
    model = new_model()
    batch, key = batch_of_predictions(model), BatchKey.of("here", model, b"batch")
    truths = [truth(model, number, label="late") for number in range(ROWS)]
    ingest_feedback(own_database, workspace.id, truths)

    with monkeypatch.context() as patch:
        patch.setattr(predictions, name, failing)
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
        patch.setattr(feedback, "learn_stored", cut_after(feedback.learn_stored))
        with pytest.raises(CableCutError):
            ingest_feedback(own_database, workspace.id, truths, batch=key)

    assert joined(own_database, workspace, model) == {}
    assert known_truths(own_database, workspace, model) == [("", None)] * ROWS
    assert_no_ghosts(own_database)

    assert ingest_feedback(own_database, workspace.id, truths, batch=key) == Verdict(ROWS, 0)
    assert Counter(joined(own_database, workspace, model).values()) == {1: ROWS}


@pytest.fixture
def passing_each_other(own_database, workspace, monkeypatch):
    """Store predictions and truths of which neither sees the other, and end before either looks.

    The truth is stored after the prediction's last statement and before its commit.
    """
    model = new_model()
    batch = [prediction(model, number) for number in range(ROWS)]
    truths = [truth(model, number) for number in range(ROWS)]
    keys = BatchKey.of("here", model, b"batch"), BatchKey.of("there", model, b"truths")

    def join_while_truths_come(conn, requests):
        joins.join(conn, requests)
        with pytest.raises(CableCutError):
            ingest_feedback(own_database, workspace.id, truths, batch=keys[1])

    with monkeypatch.context() as patch:
        patch.setattr(predictions, "join", join_while_truths_come)
        patch.setattr(predictions, "join_late", cut_instead)
        patch.setattr(feedback, "join_late", cut_instead)
        with pytest.raises(CableCutError):
            ingest_predictions(own_database, workspace.id, batch, batch=keys[0])
    assert len(stored(own_database, workspace, model)) == ROWS
    assert len(waiting(own_database, workspace, model)) == ROWS
    assert joined(own_database, workspace, model) == {}
    return model, batch, truths, keys


def send_predictions_again(database, workspace, batch, truths, keys):
    return ingest_predictions(database, workspace.id, batch, batch=keys[0])


def send_truths_again(database, workspace, batch, truths, keys):
    return ingest_feedback(database, workspace.id, truths, batch=keys[1])


def send_predictions_without_a_key(database, workspace, batch, truths, keys):
    return ingest_predictions(database, workspace.id, batch)


def let_the_worker_look(database, workspace, batch, truths, keys):
    housekeeping.do_round(database, Settings())
    return Verdict(0, ROWS)


@pytest.mark.parametrize(
    "heal",
    [
        send_predictions_again,
        send_truths_again,
        send_predictions_without_a_key,
        let_the_worker_look,
    ],
)
def test_what_passed_each_other_as_both_writers_died_is_joined(
    own_database, workspace, passing_each_other, heal
):
    model, batch, truths, keys = passing_each_other

    assert heal(own_database, workspace, batch, truths, keys) == Verdict(0, ROWS)

    assert waiting(own_database, workspace, model) == []
    assert Counter(joined(own_database, workspace, model).values()) == {1: ROWS}


def test_a_truth_replaces_one_that_was_left_waiting(own_database, workspace, passing_each_other):
    model, *_ = passing_each_other

    ingest_feedback(own_database, workspace.id, [truth(model, n, "no") for n in range(ROWS)])
    housekeeping.do_round(own_database, Settings())

    assert waiting(own_database, workspace, model) == []
    assert {actual for *_, actual in joined(own_database, workspace, model)} == {"no"}
