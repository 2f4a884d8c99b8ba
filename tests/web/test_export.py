"""What is exported says what the query functions say of the question in the URL."""

import csv
import io
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from app.query.classification import Average, classification
from app.query.question import Question as Asked
from app.query.subjects import Scope
from app.query.window import Window
from app.web.export import as_csv
from tests.oracle.plain import (
    EARLIEST_START,
    ROUNDS,
    Answer,
    Case,
    Question,
    Request,
    new_name,
    tell,
)

HOUR = timedelta(hours=1)
# Truths and what two versions said: each average is another number.
TOLD = [("a", "a", "b"), ("a", "a", "a"), ("a", "b", "a"), ("b", "b", "c"), ("c", "a", "c")]
MEASURES = ("accuracy", "f1", "precision", "recall")


@pytest.mark.parametrize("average", Average)
def test_versions_are_averaged_as_asked(database, workspace, average):
    name, start = new_name(), EARLIEST_START
    requests = [
        Request(
            (Answer("v1", start, first, 0), Answer("v2", start, second, 0)),
            ((0, truth),),
            id=f"r{number}",
        )
        for number, (truth, first, second) in enumerate(TOLD)
    ]
    case = Case(Question(Window(start, start + HOUR), None), tuple(requests), (False,) * ROUNDS)
    tell(database, workspace.id, name, case)

    asked = {"namespace": name.namespace, "pipeline": name.pipeline, "model": name.name}
    asked |= {"startTime": start.isoformat(), "endTime": (start + HOUR).isoformat()}
    search = "?" + urlencode(asked | {"average": average.value})
    rows = csv.DictReader(io.StringIO(as_csv(database, "versions", search, workspace.id)))

    found = {row["version"]: [float(row[measure]) for measure in MEASURES] for row in rows}
    assert found == {
        version: measures_of(database, workspace, name, version, average)
        for version in ("v1", "v2")
    }


def measures_of(database, workspace, name, version, average):
    with database.reading() as conn:
        scope, hour = Scope(name, version=version), Window(EARLIEST_START, EARLIEST_START + HOUR)
        question = Asked(workspace.id, scope, hour)
        [bucket] = classification(conn, database.registry, question, average=average).buckets
    return [getattr(bucket, measure) for measure in MEASURES]
