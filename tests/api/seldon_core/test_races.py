"""Events in any order, from many connections of two processes at once, some delivered twice.

The oracle is plain Python over what was sent.
"""

import json
import random
import secrets
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.auth.keys import Role, create_key
from app.auth.workspaces import find_or_create_workspace
from app.factory import create_app
from app.rollup.event_totals import fold_event_counts
from app.store.database import Database
from tests.api.events_given import REQUEST, RESPONSE, attributes, counted, feedback, message
from tests.api.given import keyed_client

CLASSES = 3
THREADS = 6
BATCH = "application/cloudevents-batch+json"
START = datetime(2026, 3, 1, 10, tzinfo=UTC)
_LATENCIES = text("""
    SELECT p.request_id, p.latency_seconds
    FROM prediction AS p JOIN series ON series.id = p.series_id
    JOIN model ON model.id = series.model_id WHERE model.workspace_id = :id
""")
_OUTCOMES = text("""
    SELECT o.request_id, predicted.name, actual.name, sum(o.weight) AS weight
    FROM outcome AS o JOIN label AS predicted ON predicted.id = o.predicted_label
    JOIN label AS actual ON actual.id = o.actual_label
    WHERE predicted.workspace_id = :id GROUP BY 1, 2, 3
""")


def one_hot(place):
    return [[float(place == other) for other in range(CLASSES)]]


class Inference:
    """One request, its response and the truth about it, as events."""

    def __init__(self, number, predicted, actual, seconds, answered):
        self.id = f"r{number}"
        self.predicted, self.actual, self.seconds = predicted, actual, seconds
        self.answered = answered  # whether the feedback brings the answer along

    def events(self):
        later = START + timedelta(seconds=self.seconds)
        answer = one_hot(self.predicted)
        yield self._event("q", REQUEST, message([[1.0]]), START)
        yield self._event("a", RESPONSE, message(answer), later)
        told = feedback(answer if self.answered else None, one_hot(self.actual))
        yield self._event("f", "io.seldon.serving.feedback", told, later)

    def _event(self, kind, type_, data, time):
        said = attributes(f"{self.id}-{kind}", type=type_, requestid=self.id, time=time.isoformat())
        return said | {"data": data}


INFERENCES = st.builds(
    Inference,
    st.just(0),
    st.integers(0, CLASSES - 1),
    st.integers(0, CLASSES - 1),
    st.integers(0, 3).map(lambda quarters: quarters / 4),
    st.booleans(),
)


@pytest.fixture(scope="module")
def processes(shared_settings):
    """Two applications over databases of their own, as two processes have them."""
    databases = [Database.from_settings(shared_settings) for _ in range(2)]
    yield [(create_app(shared_settings, database), database) for database in databases]
    for database in databases:
        database.dispose()


@pytest.fixture
def clients(processes):
    """Make clients of both processes, of a workspace that is new each time; and its id."""
    database = processes[0][1]

    def make():
        with database.writing() as conn:
            id_ = find_or_create_workspace(conn, f"races-{secrets.token_hex(6)}")
            key = create_key(conn, id_, Role.ADMIN)
        return [keyed_client(app, key) for app, _ in processes], id_

    return make


@hypothesis_settings(max_examples=6)
@given(
    inferences=st.lists(INFERENCES, min_size=4, max_size=16),
    seed=st.integers(0, 2**16),
    size=st.integers(1, 4),
)
def test_whatever_the_order_each_event_counts_once(processes, clients, inferences, seed, size):
    for number, one in enumerate(inferences):
        one.id = f"r{number}"
    (first, second), workspace_id = clients()
    deliveries = [event for one in inferences for event in one.events()]
    deliveries += random.Random(seed).sample(deliveries, len(deliveries) // 3)
    random.Random(seed + 1).shuffle(deliveries)
    batches = [deliveries[at : at + size] for at in range(0, len(deliveries), size)]

    def deliver(numbered):
        number, batch = numbered
        if number % 5 == 0:
            with processes[number % 2][1].writing() as conn:
                fold_event_counts(conn)
        client = (first, second)[number % 2]
        return client.post("/", data=json.dumps(batch), content_type=BATCH).status_code

    with ThreadPoolExecutor(THREADS) as pool:
        statuses = set(pool.map(deliver, enumerate(batches)))

    assert statuses <= {200, 204}
    assert counted(first) == expected_counts(inferences)
    with processes[0][1].reading() as conn:
        latencies = conn.execute(_LATENCIES, {"id": workspace_id}).all()
        outcomes = conn.execute(_OUTCOMES, {"id": workspace_id}).all()
    assert sorted(latencies) == sorted((one.id, one.seconds) for one in inferences)
    assert sorted(map(tuple, outcomes)) == sorted(
        (one.id, f"CLASS_{one.predicted}", f"CLASS_{one.actual}", 1) for one in inferences
    )


def expected_counts(inferences):
    found = Counter()
    for one in inferences:
        predicted, actual = f"CLASS_{one.predicted}", f"CLASS_{one.actual}"
        right = predicted == actual
        found["true_positive" if right else "false_negative", actual] += 1
        found["true_negative" if right else "false_positive", predicted] += 1
    expected = {}
    for (name, class_), n in found.items():
        expected.setdefault(name, {})[class_] = n
    return expected
