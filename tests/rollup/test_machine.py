"""Whatever is ingested, corrected, backdated, folded and refreshed, in any order: the planner says
what the raw rows say, and says it again as of an earlier moment."""

from datetime import UTC, datetime, timedelta
from itertools import chain

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sklearn.metrics import accuracy_score, confusion_matrix
from sqlalchemy import text

from app.ingest.events.pairs import Half, fill_in
from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.inferences import Detection, Prediction
from app.ingest.positive_class import declare_positive_class
from app.ingest.predictions import ingest_predictions
from app.rollup.refresh import refresh
from app.store.registry import ModelName
from tests.doubles import seconds, shares, taken
from tests.effort import examples
from tests.oracle.plain import new_name
from tests.rollup.conftest import fold_all
from tests.rollup.plain import asked, differences, edges_of, raw_rows
from tests.rollup.ranks import assert_ranked

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MICROSECOND, MINUTE, HOUR = timedelta(microseconds=1), timedelta(minutes=1), timedelta(hours=1)
LABELS = ["cat", "dog", "cow"]
BACKDATED = text("""
    INSERT INTO outcome (received_at, time, series_id, predicted_label, actual_label, weight,
                         batch_index, predicted_score, class_label, class_score)
    SELECT greatest(CAST(:time AS timestamptz), clock_timestamp() - CAST(:age AS interval)), :time,
           :series, 1, 2, weight, 0, 0.25, 2, 0.5
    FROM generate_series(1, :n), (VALUES (1), (1), (-1)) AS w (weight)
""")

# Around the bounds of every event width, close enough together for rows to lie next to edges.
edges = st.builds(
    lambda hours, minutes, microseconds: (
        NOON + hours * HOUR + minutes * MINUTE + microseconds * MICROSECOND
    ),
    st.sampled_from([-1, 0, 0, 1, 12, 23, 24]),
    st.sampled_from([0, 0, 2, 3, 5, 7, 31, 55, 58]),
    st.sampled_from([-1, 0, 1, 17_000_000, 130_000_000, 170_000_000]),
)
lengths = st.sampled_from([7 * MINUTE, HOUR, 7 * HOUR, 24 * HOUR, 49 * HOUR + 22 * MICROSECOND])
widths = st.sampled_from(
    [None, MINUTE, 5 * MINUTE, 37 * MINUTE, HOUR, 90 * MINUTE, 6 * HOUR, 24 * HOUR]
)
origins = st.sampled_from([None, None, datetime(1970, 1, 1, tzinfo=UTC)])
outputs = st.one_of(
    st.builds(
        lambda label, confidence: {"label": label, "confidence": confidence},
        st.sampled_from(LABELS),
        st.one_of(st.sampled_from([None, 0.0, 0.25, 0.7311, 1.0]), shares),
    ),
    st.builds(
        lambda names, numbers: {"scores": dict(zip(names, numbers, strict=False))},
        st.permutations(LABELS),
        st.lists(st.one_of(st.sampled_from([0.0, 0.25, 0.7311, 1.0]), shares), min_size=1),
    ),
)
latencies = st.one_of(st.sampled_from([None, 0.0, 0.0125, 1.5]), seconds)


class Story(RuleBasedStateMachine):
    """One classifier, one regressor and one detector on the database of the test."""

    def __init__(self, database, workspace_id):
        super().__init__()
        self.database, self.workspace_id = database, workspace_id
        self.names = {kind: new_name() for kind in ("label", "value", "detections")}
        self.requests, self.remembered = [], []

    @initialize()
    def begin(self):
        """Something is there before the first fold."""
        self.predict([(NOON, {"label": "cat", "confidence": 0.5}, "v1", 0.5, False)])

    def series(self):
        with self.database.reading() as conn:
            return list(
                conn.execute(
                    text(
                        "SELECT s.id FROM series AS s JOIN model AS m ON m.id = s.model_id"
                        " WHERE m.name = ANY (:names)"
                    ),
                    {"names": [name.name for name in self.names.values()]},
                ).scalars()
            )

    def member(self, name: ModelName):
        return {"namespace": name.namespace, "pipeline": name.pipeline, "model": name.name}

    @rule(
        rows=st.lists(
            st.tuples(edges, outputs, st.sampled_from(["v1", "v2"]), latencies, st.booleans()),
            min_size=1,
            max_size=12,
        )
    )
    def predict(self, rows):
        """A batch of classifications; some requests fail."""
        batch = []
        for time, output, version, latency, failed in rows:
            request_id = f"r{len(self.requests)}"
            self.requests.append(("label", request_id))
            batch.append(
                Prediction(
                    **self.member(self.names["label"]),
                    request_id=request_id,
                    time=time,
                    version=version,
                    latency_seconds=latency,
                    error=failed,
                    **output,
                )
            )
        ingest_predictions(self.database, self.workspace_id, batch)

    @rule(time=edges, value=taken, latency=latencies, failed=st.booleans())
    def predict_value(self, time, value, latency, failed):
        """A regression, of which one that failed may say a value too."""
        request_id = f"r{len(self.requests)}"
        self.requests.append(("value", request_id))
        one = Prediction(
            **self.member(self.names["value"]),
            request_id=request_id,
            time=time,
            value=value,
            latency_seconds=latency,
            error=failed,
        )
        ingest_predictions(self.database, self.workspace_id, [one])

    @rule(time=edges, found=st.lists(st.sampled_from(LABELS), max_size=4), latency=latencies)
    def detect(self, time, found, latency):
        """Objects in a picture, perhaps none."""
        one = Prediction(
            **self.member(self.names["detections"]),
            time=time,
            latency_seconds=latency,
            detections=[Detection(label=label, confidence=0.9) for label in found],
        )
        ingest_predictions(self.database, self.workspace_id, [one])

    @rule(data=st.data())
    def learn(self, data):
        """Truths, first ones and corrections, of requests old and new."""
        told = data.draw(
            st.lists(st.sampled_from(self.requests), min_size=1, max_size=6, unique=True)
        )
        said = {
            "label": st.sampled_from(LABELS).map(lambda label: {"label": label}),
            "value": taken.map(lambda value: {"value": value}),
        }
        batch = [
            Feedback(
                **self.member(self.names[kind]), request_id=request_id, **data.draw(said[kind])
            )
            for kind, request_id in told
        ]
        ingest_feedback(self.database, self.workspace_id, batch)

    @rule(time=edges, output=outputs, latency=seconds, failed=st.booleans(), folded=st.booleans())
    def answer_first(self, time, output, latency, failed, folded):
        """The request of a response arrives after it, perhaps once levels have counted that."""
        self.predict([(time, output, "v1", None, failed)])
        if folded:
            fold_all(self.database)
        half = Half(
            **self.member(self.names["label"]),
            deployment="",
            version="v1",
            request_id=self.requests[-1][1],
        )
        with self.database.writing() as conn:
            fill_in(conn, self.workspace_id, [(half, latency)])

    @rule(
        time=edges,
        age=st.sampled_from([timedelta(0), 50 * MINUTE, 40 * HOUR, timedelta(days=35)]),
        n=st.integers(1, 3),
    )
    def backdate(self, time, age, n):
        """Rows by plain SQL, stamped for when the levels are past; that rewrites what was known."""
        bounds = {"time": time, "age": age, "n": n, "series": self.series()[0]}
        with self.database.writing() as conn:
            conn.execute(BACKDATED, bounds)
        self.remembered.clear()

    @rule(label=st.sampled_from([*LABELS, None]))
    def declare(self, label):
        """Another class to keep the score of, or none."""
        declare_positive_class(self.database, self.workspace_id, self.names["label"], label)

    @rule()
    def fold(self):
        """As the worker does; TimescaleDB's levels are refreshed the same way."""
        fold_all(self.database)

    @rule()
    def refresh(self):
        """All that can be precomputed."""
        refresh(self.database)

    @rule(start=edges, length=lengths, width=widths, origin=origins, back=st.booleans())
    def ask(self, start, length, width, origin, back):
        """Any question, now or as of a moment in the past."""
        question = {"start": start, "end": start + length, "width": width, "origin": origin}
        series = self.series()
        with self.database.reading() as conn:
            now = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
            question["as_of"] = now - timedelta(milliseconds=170) if back else "infinity"
            assert list(differences(conn, series, question)) == []
            assert_ranked(conn, series, question)
            answer = asked(conn, "outcome", series, question | {"as_of": "infinity"})
            self.compare_with_sklearn(conn, series, question | {"as_of": "infinity"}, answer)
        self.remembered.append((question | {"as_of": now}, series, answer))

    def compare_with_sklearn(self, conn, series, question, answer):
        """One bucket's matrix, from the pairs that stand."""
        edges = edges_of(*(question[name] for name in ("start", "end", "width", "origin")))
        pairs = [
            (row.predicted_label, row.actual_label)
            for row in raw_rows(conn, series)["outcome"]
            for _ in range(row.weight)
            if row.predicted_label and edges[0] <= row.time < edges[1]
        ]
        taken_back = any(row.weight < 0 for row in raw_rows(conn, series)["outcome"])
        labels = sorted(set(chain(*pairs)))
        if taken_back or len(labels) < 2:
            return
        predicted, actual = zip(*pairs, strict=True)
        matrix = confusion_matrix(actual, predicted, labels=labels)
        found = [[answer.get((1, p, a), [0])[0] for p in labels] for a in labels]
        assert found == matrix.tolist()
        hits = sum(found[i][i] for i in range(len(labels)))
        assert float(hits / len(pairs)) == accuracy_score(actual, predicted)

    def teardown(self):
        """At the end everything is queried once."""
        days = {"start": NOON - 24 * HOUR, "end": NOON + 96 * HOUR, "width": HOUR, "origin": None}
        with self.database.reading() as conn:
            assert list(differences(conn, self.series(), days | {"as_of": "infinity"})) == []
            assert_ranked(conn, self.series(), days | {"as_of": "infinity"})

    @rule()
    def remember(self):
        """The answers given in the past are given again."""
        with self.database.reading() as conn:
            for question, series, answer in self.remembered[-3:]:
                assert asked(conn, "outcome", series, question) == answer


@pytest.mark.timeout(900)  # some hundred steps, each of which may refresh all levels
def test_the_planner_agrees_with_the_rows(brisk):
    run_state_machine_as_test(
        lambda: Story(brisk, 1), settings=examples(20, thorough=120, stateful_step_count=25)
    )
