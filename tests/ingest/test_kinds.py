"""A truth of another kind than its model is rejected, whenever that becomes known."""

import pytest
from sqlalchemy import text

from app.config import Settings
from app.errors import InvalidRows
from app.ingest import feedback
from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.inferences import Prediction
from app.ingest.predictions import ingest_predictions
from app.upkeep import housekeeping

PENDING = text("""
    SELECT count(*) FROM pending_feedback JOIN model ON model.id = model_id
    WHERE workspace_id = :workspace
""")


def pending(database, workspace):
    with database.reading() as conn:
        return conn.execute(PENDING, {"workspace": workspace.id}).scalar_one()


def predict_value(database, workspace):
    row = Prediction(model="m", request_id="r", value=1.0)
    ingest_predictions(database, workspace.id, [row])


def test_a_kind_settled_at_the_last_moment_counts(database, workspace, monkeypatch):
    lock_staged = feedback.lock_staged

    def own_keys_after_a_prediction(conn):
        predict_value(database, workspace)
        lock_staged(conn)

    monkeypatch.setattr(feedback, "lock_staged", own_keys_after_a_prediction)
    truth = Feedback(model="m", request_id="r", label="a")

    with pytest.raises(InvalidRows) as refused:
        ingest_feedback(database, workspace.id, [truth])

    (error,) = refused.value.errors
    assert (error.index, error.field) == (0, "label")
    assert error.reason == "model m does regression, and this is classification"
    assert pending(database, workspace) == 0


def test_a_truth_that_nothing_can_join_is_forgotten_by_the_worker(database, workspace):
    stray = Feedback(model="m", request_id="r", label="a")
    waiting = Feedback(model="m", request_id="later", value=1.0)
    ingest_feedback(database, workspace.id, [stray, waiting])
    predict_value(database, workspace)
    assert pending(database, workspace) == 2

    housekeeping.do_round(database, Settings())

    assert pending(database, workspace) == 1
