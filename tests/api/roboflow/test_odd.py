"""Posts that senders never retry: the valid parts are stored, the others counted and reported."""

import json
import logging
import re

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import text

from app.ingest import prepared as ingest
from tests.api.given import predict, verdict
from tests.api.roboflow.test_reports import BAD_RESULTS, FLAT
from tests.api.roboflow_given import accepted, inference, post, stats
from tests.effort import examples

_FOUND = text("""
    SELECT p.request_id, label.name FROM prediction AS p
    JOIN series ON series.id = p.series_id JOIN model ON model.id = series.model_id
    JOIN label ON label.id = p.label_id
    WHERE model.workspace_id = :id AND p.request_id IS NOT NULL
""")
CLASSIFIER = "classifier"


@pytest.fixture
def found(database, workspace):
    """Labels by the id of their inference."""

    def read():
        by_id = {}
        with database.reading() as conn:
            for id_, label in conn.execute(_FOUND, {"id": workspace.id}):
                by_id.setdefault(id_, []).append(label)
        return {id_: sorted(labels) for id_, labels in by_id.items()}

    return read


@pytest.fixture
def classifier(client):
    """A model that takes no detections."""
    verdict(predict(client, {"model": CLASSIFIER, "label": "a"}))


def other_kind(id_):
    return inference(f"{CLASSIFIER}/1", ("a", 0.5), id_=id_)


# --- any mixture ----------------------------------------------------------------------------

LABELS = st.sampled_from(["card", "dice", "7", 7, True])
PINGBACKS = st.tuples(st.just("pingback"), st.lists(LABELS, max_size=3))
FLATS = st.tuples(st.just("flat"), LABELS, st.integers(0, 2))
ODD = st.tuples(st.just("odd"), st.sampled_from(sorted(BAD_RESULTS)))
ODD_FLATS = st.tuples(
    st.just("odd flat"), st.sampled_from(["", "x" * 201, "a\0"]), st.integers(0, 2)
)
CLASHES = st.tuples(st.just("clash"))
MIXTURES = st.lists(PINGBACKS | FLATS | ODD | ODD_FLATS | CLASHES, max_size=12)


class Mixture:
    """Results of a post, what is to be found of them afterwards, and how many are odd."""

    def __init__(self, run, parts):
        self.run, self.results, self.expected, self.odd = run, [], {}, 0
        for number, (kind, *arguments) in enumerate(parts):
            self.id = f"{run}-{number}"
            getattr(self, kind.replace(" ", "_"))(*arguments)

    def keep(self, id_, *labels):
        told = {True: "1"}
        self.expected.setdefault(id_, []).extend(told.get(v, str(v)) for v in labels)

    def pingback(self, labels):
        self.results.append(inference("cards/4", *((v, 0.5) for v in labels), id_=self.id))
        self.keep(self.id, *(labels or [""]))

    def flat(self, label, which):
        id_ = f"{self.run}-flat-{which}"  # several results of one inference
        self.results.append(FLAT | {"inference_id": id_, "class_name": label})
        self.keep(id_, label)

    def odd_flat(self, label, which):
        self.odd += 1
        id_ = f"{self.run}-flat-{which}"
        self.results.append(FLAT | {"inference_id": id_, "class_name": label})

    def odd_(self, name):
        self.odd += 1
        self.results.append(BAD_RESULTS[name])

    def clash(self):
        self.odd += 1
        self.results.append(other_kind(self.id))


@pytest.fixture(scope="module")
def runs():
    return iter(range(10**6))


@examples(25, thorough=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(MIXTURES)
def test_any_mixture_keeps_the_good_and_counts_the_others(client, classifier, found, runs, parts):
    mixture = Mixture(f"run{next(runs)}", [("odd_" if k == "odd" else k, *a) for k, *a in parts])
    answer = post(client, *mixture.results)

    if mixture.odd and not mixture.expected:
        assert answer.status_code == 422
    else:
        assert accepted(answer) == (len(mixture.expected), 0)
        assert answer.json["refused"] == mixture.odd
    kept = {id_: labels for id_, labels in found().items() if id_.startswith(f"{mixture.run}-")}
    assert kept == {id_: sorted(labels) for id_, labels in mixture.expected.items()}


# --- what is reported ---------------------------------------------------------------------


def refused_rows(app, kind):
    page = app.test_client().get("/metrics").text
    line = rf'^truthline_ingested_rows_total{{kind="{kind}",verdict="refused"}} (\S+)$'
    match = re.search(line, page, re.MULTILINE)
    return float(match[1]) if match else 0


def test_odd_results_are_counted_and_logged(app, client, caplog):
    caplog.set_level(logging.WARNING)
    before = refused_rows(app, "predictions")
    odd = [BAD_RESULTS[name] for name in ("empty class", "gaze", "no time")]
    answer = post(client, inference("cards/4", ("card", 0.9)), *odd * 3)

    assert answer.json == {"status": "ok", "accepted": 1, "duplicates": 0, "refused": 9}
    assert refused_rows(app, "predictions") == before + 9
    (line,) = [r.message for r in caplog.records if "can't be stored" in r.message]
    assert line.startswith("9 of 10 predictions can't be stored: inference_results[1].")
    assert line.endswith("; and 4 more")


def test_a_model_of_another_kind_costs_no_other(client, classifier, workspace):
    answer = post(client, other_kind("i"), inference("cards/4", ("card", 0.9)))

    assert (accepted(answer), answer.json["refused"]) == ((1, 0), 1)
    assert [row["model_name"] for row in stats(client, workspace)["inference_stats"]] == ["cards"]


def test_also_one_whose_kind_is_set_concurrently(client, monkeypatch):
    """Another writer stores first, after the model's kind was read."""
    place, once = ingest._series_names, iter([None])

    def settle_first(*arguments, **more):
        if next(once, once) is None:
            verdict(predict(client, {"model": CLASSIFIER, "label": "a"}))
        return place(*arguments, **more)

    monkeypatch.setattr(ingest, "_series_names", settle_first)
    answer = post(client, other_kind("i"), inference("cards/4", ("card", 0.9)))

    assert (accepted(answer), answer.json["refused"]) == ((1, 0), 1)


# --- metadata -------------------------------------------------------------------------------

GOOD_FIELD = {"inference_ids": ["i"], "field_name": "camera", "field_value": "north"}
ODD_FIELDS = [
    7,
    {},
    GOOD_FIELD | {"inference_ids": [""]},
    GOOD_FIELD | {"field_name": ""},
    GOOD_FIELD | {"field_value": 7},
    GOOD_FIELD | {"field_value": "a\0b"},
    GOOD_FIELD | {"inference_ids": ["a\0b"]},
]


@pytest.mark.parametrize("odd", ODD_FIELDS, ids=json.dumps)
def test_a_field_that_is_odd_costs_no_other(app, client, workspace, odd):
    post(client, inference("cards/4", ("card", 0.9), id_="i"))
    path = f"/{workspace.name}/inference-stats/metadata"
    before = refused_rows(app, "metadata")
    answer = client.post(path, json={"data": [odd, GOOD_FIELD]})
    alone = client.post(path, json={"data": [odd]})

    assert (answer.status_code, answer.json) == (200, {"status": "ok", "refused": 1})
    assert (alone.status_code, alone.json["error"]["hint"][:7]) == (422, "data[0]")
    assert refused_rows(app, "metadata") == before + 2
    assert stats(client, workspace, fieldName="camera", fieldValue="north")["num_inferences"] == 1
