"""One call takes a large batch."""

from uuid import uuid4

from sqlalchemy import text

from app.ingest.batch import Verdict
from app.ingest.feedback import ingest_feedback
from app.ingest.keys import lock_requests
from app.ingest.predictions import ingest_predictions
from tests.ingest.crowd import joined, new_model, prediction, truth

LARGE = 50_000


def test_a_large_batch_is_taken_in_one_call_each(database, workspace):
    model = new_model()
    predictions = [prediction(model, number) for number in range(LARGE)]
    truths = [truth(model, number) for number in range(LARGE)]

    assert ingest_predictions(database, workspace.id, predictions) == Verdict(LARGE, 0)
    assert ingest_feedback(database, workspace.id, truths) == Verdict(LARGE, 0)
    assert len(joined(database, workspace, model)) == LARGE


def test_locks_take_no_longer_on_a_plan_for_a_few(database):
    """The plan of a session stays, whether it was made for few rows or on old statistics."""
    keys = [(1, uuid4()) for _ in range(LARGE)]
    with database.writing() as conn:
        lock_requests(conn, keys)
    with database.outside_transactions() as conn:
        conn.execute(text("VACUUM (TRUNCATE false, ANALYZE) truthline_data.request_lock"))

    with database.writing() as conn:
        conn.execute(text("SET LOCAL statement_timeout = '10s'"))
        for key in keys[:10]:
            lock_requests(conn, [key])
        lock_requests(conn, keys)
        held = conn.execute(text("SELECT count(*) FROM truthline_data.request_lock")).scalar_one()
    assert held == 0
