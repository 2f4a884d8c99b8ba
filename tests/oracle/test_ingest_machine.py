"""Ingest against a model of it in plain Python, step by step, in whatever order.

The model knows what a client may rely on: verdicts, stored predictions, joined truths and those
that wait. Hypothesis plays sequences of batches and finds the shortest that disagrees.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from app.errors import UnknownModel
from app.ingest.batch import BatchKey, Verdict
from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.inferences import Prediction
from app.ingest.predictions import ingest_predictions
from app.query.classification import classification
from app.query.question import Question
from app.query.subjects import Scope
from app.query.tags import NO_TAGS, TagFilter
from app.query.window import Window
from tests.effort import examples
from tests.oracle.plain import new_name, within

BASE = datetime(2024, 3, 10, 1, tzinfo=UTC)
FAILED = None  # the label of an inference that failed
LABELS = ["cat", "dog", "cow"]
COUNTRIES = ["", "FR", "DE"]  # a tag; predictions without it have ""

ids = st.sampled_from(["r0", "r1", "r2", "r3"])
indexes = st.sampled_from([0, 0, 1])
seconds = st.integers(0, 10).map(lambda n: BASE + timedelta(seconds=n))
inferences = st.tuples(
    st.one_of(ids, ids, ids, st.none()),
    indexes,
    st.sampled_from(["v1", "v2"]),
    st.sampled_from(COUNTRIES),
    seconds,
    st.sampled_from([*LABELS, FAILED]),
)
truths = st.tuples(ids, indexes, st.sampled_from(LABELS))
keys = st.one_of(st.none(), st.sampled_from(["k0", "k1"]))

PREDICTIONS = text("""
    SELECT p.request_id, p.batch_index, s.version,
           coalesce(s.tags ->> 'country', '') AS country, p.time, l.name AS label, p.failed
    FROM prediction AS p JOIN series AS s ON s.id = p.series_id JOIN model AS m ON m.id = s.model_id
    LEFT JOIN label AS l ON l.id = p.label_id
    WHERE m.workspace_id = :workspace_id AND m.name = :model AND p.starts_request AND p.starts_label
""")
OUTCOMES = text("""
    SELECT o.request_id, o.batch_index, s.version,
           coalesce(s.tags ->> 'country', '') AS country, o.time, predicted.name AS predicted,
           actual.name AS actual, sum(o.weight) AS weight
    FROM outcome AS o JOIN series AS s ON s.id = o.series_id JOIN model AS m ON m.id = s.model_id
    JOIN label AS predicted ON predicted.id = o.predicted_label
    JOIN label AS actual ON actual.id = o.actual_label
    WHERE m.workspace_id = :workspace_id AND m.name = :model
    GROUP BY 1, 2, 3, 4, 5, 6, 7
    HAVING sum(o.weight) <> 0
""")
PENDING = text("""
    SELECT f.request_id, f.batch_index, l.name AS label
    FROM pending_feedback AS f JOIN model AS m ON m.id = f.model_id
    JOIN label AS l ON l.id = f.actual_label
    WHERE m.workspace_id = :workspace_id AND m.name = :model
""")


class PlainStore:
    """What ingest promises, in dictionaries. Tags are no part of a request's identity."""

    def __init__(self):
        self.rows = []  # every stored inference
        self.known = {}  # (request id, batch index, version, failed) -> inference
        self.truths = {}  # (request id, batch index) -> label

    def predict(self, batch):
        """Store those that are new; returns the verdict."""
        accepted = 0
        for inference in batch:
            request_id, index, version, _, _, label = inference
            identity = (request_id, index, version, label is FAILED)
            if request_id is None or identity not in self.known:
                self.rows.append(inference)
                accepted += 1
                if request_id is not None:
                    self.known[identity] = inference
        return Verdict(accepted, len(batch) - accepted)

    def learn(self, batch):
        """Take truths in; of several for one prediction the last stands, the rest are repeats."""
        last = {(request_id, index): label for request_id, index, label in batch}
        news = {key: label for key, label in last.items() if self.truths.get(key) != label}
        self.truths.update(news)
        pending = sum(not self.answers(key) for key in news)
        return Verdict(len(news), len(batch) - len(news), pending)

    def answers(self, key):
        """Successful inferences of a request, one per version."""
        known = (self.known.get((*key, version, False)) for version in ("v1", "v2"))
        return [inference for inference in known if inference]

    def joined(self):
        """(inference, truth) of every prediction that has one."""
        return [
            (inference, label)
            for key, label in self.truths.items()
            for inference in self.answers(key)
        ]

    def waiting(self):
        """(request id, batch index, label) of truths without a prediction."""
        return {(*key, label) for key, label in self.truths.items() if not self.answers(key)}


class Ingest(RuleBasedStateMachine):
    """Batches in, questions in between; after each step the tables hold what the model holds."""

    def __init__(self, database, workspace_id):
        super().__init__()
        self.database, self.workspace_id = database, workspace_id
        self.name, self.store, self.taken = new_name(), PlainStore(), set()
        self._predict([("first", 0, "v1", "", BASE, "cat")], None)

    @rule(batch=st.lists(inferences, min_size=1, max_size=6), key=keys)
    def predict(self, batch, key):
        self._predict(batch, key)

    @rule(batch=st.lists(truths, min_size=1, max_size=6), key=keys)
    def learn(self, batch, key):
        expected = self._once("feedback", batch, key, self.store.learn)
        feedback = [self._feedback(*truth) for truth in batch]
        assert self._ingest(ingest_feedback, "feedback", feedback, batch, key) == expected

    @rule(start=seconds, end=seconds)
    def ask(self, start, end):
        window = Window(start, max(end, start + timedelta(seconds=1)))
        of_country = {country: self._matrix(window, country) for country in COUNTRIES}
        for country, counted in of_country.items():
            joined = [
                (time, label, truth)
                for (*_, own, time, label), truth in self.store.joined()
                if own == country
            ]
            assert counted == Counter(within(joined, window.start, window.end))
        assert sum(of_country.values(), Counter()) == self._matrix(window)

    def _matrix(self, window, country=None):
        """Pairs of a window, with this tag; none if no prediction has it."""
        tags = NO_TAGS if country is None else TagFilter.of([f"country:{country}"])
        question = Question(self.workspace_id, Scope(self.name, tags=tags), window)
        with self.database.reading() as conn:
            try:
                [bucket] = classification(conn, self.database.registry, question).buckets
            except UnknownModel:
                return Counter()
        assert bucket.n == matrix_cells(bucket.matrix).total()
        return matrix_cells(bucket.matrix)

    @invariant()
    def predictions_are_stored_once(self):
        stored = Counter(tuple(row) for row in self._rows(PREDICTIONS))
        assert stored == Counter((*row, row[-1] is FAILED) for row in self.store.rows)

    @invariant()
    def weights_add_up_to_one_pair_per_truth(self):
        pairs = Counter({tuple(row)[:-1]: row.weight for row in self._rows(OUTCOMES)})
        assert pairs == Counter((*inference, label) for inference, label in self.store.joined())

    @invariant()
    def truths_wait_only_for_absent_predictions(self):
        assert Counter(map(tuple, self._rows(PENDING))) == Counter(self.store.waiting())

    def _predict(self, batch, key):
        expected = self._once("predictions", batch, key, self.store.predict)
        predictions = [self._prediction(*inference) for inference in batch]
        assert self._ingest(ingest_predictions, "predictions", predictions, batch, key) == expected

    def _once(self, endpoint, batch, key, take):
        """Verdict of a batch; a whole duplicate if its key and content were accepted."""
        identity = (endpoint, key, repr(batch))
        if key and identity in self.taken:
            return Verdict(0, len(batch))
        self.taken.add(identity)
        return take(batch)

    def _ingest(self, ingest, endpoint, rows, batch, key):
        body = repr(batch)
        batch_key = key and BatchKey.of(endpoint, f"{self.name}{key}{body}", body.encode())
        return ingest(self.database, self.workspace_id, rows, batch=batch_key)

    def _prediction(self, request_id, index, version, country, time, label):
        return Prediction(
            **self._model(),
            request_id=request_id,
            batch_index=index,
            version=version,
            tags={"country": country} if country else None,
            time=time,
            label=label,
            error=label is FAILED,
        )

    def _feedback(self, request_id, index, label):
        return Feedback(**self._model(), request_id=request_id, batch_index=index, label=label)

    def _model(self):
        name = self.name
        return {"model": name.name, "namespace": name.namespace, "pipeline": name.pipeline}

    def _rows(self, statement):
        with self.database.reading() as conn:
            parameters = {"workspace_id": self.workspace_id, "model": self.name.name}
            return conn.execute(statement, parameters).all()


def matrix_cells(matrix):
    """Counts by (predicted, actual), without zeros."""
    return Counter(
        {
            (predicted, actual): count
            for actual, row in zip(matrix.categories, matrix.values, strict=True)
            for predicted, count in zip(matrix.categories, row, strict=True)
            if count
        }
    )


def test_any_sequence_of_batches_leaves_the_state_of_the_model(database, workspace):
    run_state_machine_as_test(
        lambda: Ingest(database, workspace.id),
        settings=examples(60, thorough=200, stateful_step_count=15),
    )
