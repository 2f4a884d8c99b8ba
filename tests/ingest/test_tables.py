"""What the raw tables are, by edition, and that one call takes a large batch."""

import pytest
from sqlalchemy import text

from app.ingest.batch import Verdict
from app.ingest.feedback import ingest_feedback
from app.ingest.predictions import ingest_predictions
from tests.ingest.crowd import joined, new_model, prediction, truth
from tests.servers import edition

LARGE = 50_000
RAW = ["outcome", "prediction"]
DIMENSIONS = text("""
    SELECT hypertable_name, column_name, dimension_type
    FROM timescaledb_information.dimensions
    WHERE hypertable_schema = 'truthline_data' ORDER BY 1
""")
PLAIN = text("""
    SELECT relname FROM pg_class
    WHERE relname = ANY (:names) AND relkind = 'r' AND NOT relhassubclass
      AND relnamespace = 'truthline_data'::regnamespace
    ORDER BY 1
""")
EXTENSION = text("SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'")


@pytest.mark.skipif(edition() == "postgres", reason="no hypertables without TimescaleDB")
def test_raw_tables_are_hypertables_along_the_learned_clock(database):
    with database.reading() as conn:
        dimensions = [tuple(row) for row in conn.execute(DIMENSIONS)]

    assert dimensions == [(table, "received_at", "Time") for table in RAW]


@pytest.mark.skipif(edition() != "postgres", reason="hypertables, with TimescaleDB")
def test_raw_tables_are_plain_without_timescaledb(database):
    with database.reading() as conn:
        assert conn.execute(EXTENSION).scalar_one() == 0
        assert conn.execute(PLAIN, {"names": RAW}).scalars().all() == RAW


def test_a_large_batch_is_taken_in_one_call_each(database, workspace):
    model = new_model()
    predictions = [prediction(model, number) for number in range(LARGE)]
    truths = [truth(model, number) for number in range(LARGE)]

    assert ingest_predictions(database, workspace.id, predictions) == Verdict(LARGE, 0)
    assert ingest_feedback(database, workspace.id, truths) == Verdict(LARGE, 0)
    assert len(joined(database, workspace, model)) == LARGE
