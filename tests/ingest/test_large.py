"""One call takes a large batch."""

from app.ingest.batch import Verdict
from app.ingest.feedback import ingest_feedback
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
