"""Seldon's endpoint says what the query functions say, as 32-bit floats."""

import math
from datetime import datetime

import numpy as np
from hypothesis import given

from app.query.classification import classification
from app.query.question import Question
from app.query.regression import regression
from app.query.subjects import Scope
from app.query.window import Grid
from tests.effort import examples
from tests.oracle.plain import (
    MICROSECOND,
    classification_cases,
    declare,
    new_name,
    regression_cases,
    tell,
)

METRICS = "/metrics-server/api/v1/metrics/pipeline"
CLASSIFICATION = {
    **{metric: metric for metric in ("accuracy", "precision", "recall", "specificity")},
    "f1": "harmonic_f1",
}
REGRESSION = {
    "meanAbsoluteError": "mean_absolute_error",
    "meanSquaredError": "mean_squared_error",
    "rootMeanSquaredError": "root_mean_squared_error",
}


def as_float32(number):
    """The shortest decimal of its 32-bit float, as numpy prints it."""
    if number is None:
        return -1
    with np.errstate(over="ignore"):
        rounded = np.float32(number)
    return float(str(rounded)) if math.isfinite(rounded) else "Infinity"


def asked(client, kind, name, question):
    """The endpoint's elements."""
    query = {
        "namespace": name.namespace,
        "pipelineName": name.pipeline,
        "modelName": name.name,
        "startTime": question.window.start.isoformat(),
        "endTime": question.window.end.isoformat(),
    }
    if question.width:
        query["interval"] = f"{question.width // MICROSECOND}us"
    response = client.get(f"{METRICS}/{kind}", query_string=query)
    assert response.status_code == 200, response.text
    return response.json["metrics"]


def queried(workspace, name, question):
    """What the query functions take."""
    return Question(workspace.id, Scope(name), question.window, Grid(question.width))


def matrix_element(bucket):
    """An empty bucket has no categories on the wire."""
    if not bucket.n:
        return {"categories": [], "values": [], "computedConfusionValues": []}
    return {
        "categories": bucket.matrix.categories,
        "values": [count for row in bucket.matrix.values for count in row],
        "computedConfusionValues": [
            {
                "falseNegativeCount": counts.false_negative,
                "falsePositiveCount": counts.false_positive,
                "trueNegativeCount": counts.true_negative,
                "truePositiveCount": counts.true_positive,
            }
            for counts in bucket.matrix.counts()
        ],
    }


def same_end(element, bucket):
    text = element["endTime"]
    return text.endswith("Z") and datetime.fromisoformat(text) == bucket.end


@examples(15, thorough=50)
@given(case=classification_cases())
def test_classification_elements_are_the_queried_buckets(client, database, workspace, case):
    name = new_name()
    declare(database, workspace.id, name, case.declared)
    tell(database, workspace.id, name, case)

    elements = asked(client, "classification", name, case.question)

    question = queried(workspace, name, case.question)
    with database.reading() as conn:
        buckets = classification(conn, database.registry, question).buckets
    for element, bucket in zip(elements, buckets, strict=True):
        assert same_end(element, bucket)
        assert element["confusionMatrix"] == matrix_element(bucket)
        for member, metric in CLASSIFICATION.items():
            assert element[member] == as_float32(getattr(bucket, metric))


@examples(15, thorough=50)
@given(case=regression_cases())
def test_regression_elements_are_the_queried_buckets(client, database, workspace, case):
    name = new_name()
    tell(database, workspace.id, name, case)

    elements = asked(client, "regression", name, case.question)

    with database.reading() as conn:
        buckets = regression(conn, queried(workspace, name, case.question)).buckets
    for element, bucket in zip(elements, buckets, strict=True):
        assert same_end(element, bucket)
        for member, metric in REGRESSION.items():
            # whole numbers are written out, and read back as the same float
            assert float(element[member]) == float(as_float32(getattr(bucket, metric)))
