"""Predictions and truths in bulk meet each other, and rows that came one by one, exactly once."""

from collections import Counter

import pyarrow as pa
import pytest
from sqlalchemy import text

from app.config import Settings
from app.ingest.bulk.checked import TRUTHS
from app.ingest.bulk.formats import ARROW
from app.ingest.feedback import ingest_feedback
from app.ingest.positive_class import declare_positive_class
from app.ingest.predictions import ingest_predictions
from app.store.database import Database
from app.store.registry import ModelName
from tests.ingest.bulk.told import arrow, bulk, counts, stored
from tests.ingest.crowd import at_once, new_model, prediction, truth

NUMBER = 2000


def predictions(model, numbers=range(NUMBER), version="", label="yes"):
    ids = [f"r{number}" for number in numbers]
    columns = {"model": [model] * len(ids), "request_id": ids, "label": [label] * len(ids)}
    return arrow(pa.table(columns | {"version": [version] * len(ids)}))


def truths(model, numbers=range(NUMBER), label="yes"):
    ids = [f"r{number}" for number in numbers]
    columns = {"model": [model] * len(ids), "request_id": ids, "label": [label] * len(ids)}
    return arrow(pa.table(columns))


def outcomes(database, workspace):
    return [(row[8], row[1], row[3], row[6]) for row in stored(database, workspace.id)["outcomes"]]


def waiting(database):
    with database.reading() as conn:
        return conn.execute(text("SELECT count(*) FROM pending_feedback")).scalar_one()


@pytest.mark.parametrize("attempt", range(3))
def test_both_at_once(database, workspace, attempt):
    model, before = new_model(), waiting(database)

    at_once(
        lambda: bulk(database, workspace.id, ARROW, predictions(model)),
        lambda: bulk(database, workspace.id, ARROW, truths(model), TRUTHS),
        lambda: ingest_feedback(database, workspace.id, [truth(model, n) for n in range(50)]),
        lambda: ingest_predictions(
            database, workspace.id, [prediction(model, n) for n in range(40, 90)]
        ),
    )

    assert sorted(outcomes(database, workspace)) == sorted(
        (f"r{n}", "", "yes", 1) for n in range(NUMBER)
    )
    assert waiting(database) == before


def test_truths_in_bulk_keep_the_score_of_the_declared_class(database, workspace):
    """Those that come first, those that come later, and corrections after another declaration."""
    model, scores = new_model(), {"no": 0.5, "yes": 0.25, "perhaps": 0.125}
    declare_positive_class(database, workspace.id, ModelName("", "", model), "yes")
    ids = [f"r{number}" for number in range(60)]
    columns = {f"score_{name}": [score] * len(ids) for name, score in scores.items()}
    bulk(database, workspace.id, ARROW, truths(model, range(30), "no"), TRUTHS)
    table = pa.table({"model": [model] * len(ids), "request_id": ids} | columns)
    bulk(database, workspace.id, ARROW, arrow(table))
    bulk(database, workspace.id, ARROW, truths(model, range(30, 60)), TRUTHS)
    declare_positive_class(database, workspace.id, ModelName("", "", model), "perhaps")
    bulk(database, workspace.id, ARROW, truths(model, range(25), "yes"), TRUTHS)

    found = Counter(
        (row[3], row[6], *row[-2:]) for row in stored(database, workspace.id)["outcomes"]
    )
    assert found == {
        ("no", 1, "yes", 0.25): 30,
        ("yes", 1, "yes", 0.25): 30,
        ("no", -1, "yes", 0.25): 25,
        ("yes", 1, "perhaps", 0.125): 25,
    }


def test_writers_of_the_same_rows_store_each_once(database, workspace):
    model = new_model()

    verdicts = at_once(
        *[lambda: bulk(database, workspace.id, ARROW, predictions(model)) for _ in range(4)]
    )

    assert sum(verdict.accepted for verdict in verdicts) == NUMBER
    assert sum(verdict.duplicates for verdict in verdicts) == 3 * NUMBER
    assert len(stored(database, workspace.id)["predictions"]) == NUMBER


def test_truths_that_came_first(database, workspace):
    model = new_model()
    first = bulk(database, workspace.id, ARROW, truths(model), TRUTHS)

    bulk(database, workspace.id, ARROW, predictions(model))

    assert counts(first) == (NUMBER, 0, NUMBER, 0)
    assert len(outcomes(database, workspace)) == NUMBER


def test_a_challenger_gets_the_truth_of_its_champion(database, workspace):
    model = new_model()
    bulk(database, workspace.id, ARROW, predictions(model, range(3), version="v1"))
    bulk(database, workspace.id, ARROW, truths(model, range(2)), TRUTHS)

    bulk(database, workspace.id, ARROW, predictions(model, range(3), version="v2", label="no"))

    assert sorted(outcomes(database, workspace)) == [
        ("r0", "v1", "yes", 1),
        ("r0", "v2", "yes", 1),
        ("r1", "v1", "yes", 1),
        ("r1", "v2", "yes", 1),
    ]


def test_a_corrected_truth_takes_the_old_pair_back(database, workspace):
    model = new_model()
    bulk(database, workspace.id, ARROW, predictions(model, range(1)))
    bulk(database, workspace.id, ARROW, truths(model, range(1)), TRUTHS)

    again = bulk(database, workspace.id, ARROW, truths(model, range(1)), TRUTHS)
    bulk(database, workspace.id, ARROW, truths(model, [0, 0], label="no"), TRUTHS)

    assert counts(again) == (0, 1, 0, 0)
    assert sorted(outcomes(database, workspace)) == [
        ("r0", "", "no", 1),
        ("r0", "", "yes", -1),
        ("r0", "", "yes", 1),
    ]


def test_rows_that_are_partly_stored(database, workspace):
    """The copy of keys fails, and is repeated without those that are known."""
    model = new_model()
    ingest_predictions(database, workspace.id, [prediction(model, n) for n in range(0, 20, 2)])

    verdict = bulk(database, workspace.id, ARROW, predictions(model, [*range(20), 3, 3]))

    assert counts(verdict) == (10, 12, 0, 0)
    ids = [row[15] for row in stored(database, workspace.id)["predictions"]]
    assert sorted(ids) == sorted(f"r{n}" for n in range(20))


def test_a_model_without_room_refuses_only_its_own_rows(fresh_database_url):
    database = Database.from_settings(
        Settings(database_url=fresh_database_url, max_series_per_model=2)
    )
    table = pa.table({"model": ["m"] * 4 + ["n"], "version": ["1", "1", "2", "3", "1"]})
    table = table.append_column("label", pa.array(["a"] * 5))

    verdict = bulk(database, 1, ARROW, arrow(table))
    database.dispose()

    assert verdict.accepted + verdict.refused == 5
    assert {error.field for error in verdict.errors} == {"version"}
    assert verdict.accepted >= 1
