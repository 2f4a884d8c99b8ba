"""Native feedback: truths meet their predictions, in any order, and count once."""

from secrets import token_hex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.given import (
    buckets,
    given_pairs,
    matrix,
    metrics,
    ndjson,
    predict,
    prediction,
    send,
    tell,
    truth,
    verdict,
)
from tests.effort import examples


@pytest.fixture
def dog(client):
    """A prediction `dog` of the request `r`."""
    verdict(predict(client, prediction(requestId="r", label="dog")))


def test_a_truth_joins_its_prediction(client, dog):
    assert verdict(tell(client, truth("r", label="cat"))) == (1, 0, 0)

    assert matrix(client) == (["cat", "dog"], [0, 1, 0, 0])  # a cat taken for a dog


def test_truths_come_as_newline_delimited_json_too(client, dog):
    body = ndjson(truth("r", label="cat"))

    answer = send(client, body, to="feedback", content_type="application/x-ndjson")
    assert verdict(answer) == (1, 0, 0)


def test_a_truth_before_its_prediction_waits_and_then_counts(client, stored):
    assert verdict(tell(client, truth("r", label="cat"))) == (1, 0, 1)
    assert stored()["pending_feedback"] == 1

    assert verdict(predict(client, prediction(requestId="r", label="dog"))) == (1, 0, 0)
    assert matrix(client) == (["cat", "dog"], [0, 1, 0, 0])
    assert stored()["pending_feedback"] == 0


def test_a_value_before_its_prediction_waits_and_then_counts(client):
    assert verdict(tell(client, truth("r", value=1))) == (1, 0, 1)
    verdict(predict(client, prediction(requestId="r", value=3)))

    (bucket,) = buckets(metrics(client, "regression"))
    assert bucket["meanAbsoluteError"] == 2


def test_of_two_waiting_truths_the_later_counts(client):
    tell(client, truth("r", label="cat"))

    assert verdict(tell(client, truth("r", label="eel"))) == (1, 0, 1)
    predict(client, prediction(requestId="r", label="eel"))
    assert matrix(client) == (["eel"], [1])


def test_a_pending_truth_sent_twice_is_a_duplicate(client):
    tell(client, truth("r", label="cat"))

    assert verdict(tell(client, truth("r", label="cat"))) == (0, 1, 0)


def test_a_correction_moves_the_count(client, dog):
    tell(client, truth("r", label="cat"))

    assert verdict(tell(client, truth("r", label="dog"))) == (1, 0, 0)
    assert matrix(client) == (["dog"], [1])


def test_a_corrected_value_takes_back_its_error(client):
    given_pairs(client, [(3, 1), (10, 10.5)], output="value")
    verdict(predict(client, prediction(requestId="wild", value=1e15)))
    tell(client, truth("wild", value=-1e15))

    assert verdict(tell(client, truth("wild", value=1e15))) == (1, 0, 0)
    (bucket,) = buckets(metrics(client, "regression"))
    assert bucket["meanAbsoluteError"] == 0.8333333  # (2 + 0.5 + 0) / 3
    assert bucket["meanSquaredError"] == 1.4166666  # (4 + 0.25 + 0) / 3


def test_a_truth_sent_again_is_a_duplicate(client, dog, stored):
    tell(client, truth("r", label="cat"))
    before = stored()

    assert verdict(tell(client, truth("r", label="cat"))) == (0, 1, 0)
    assert stored() == before


@pytest.mark.parametrize(
    ("labels", "expected", "categories"),
    [
        ("ca", (1, 1, 0), ["a", "dog"]),
        ("cc", (1, 1, 0), ["c", "dog"]),
        ("cac", (1, 2, 0), ["c", "dog"]),
        ("caa", (1, 2, 0), ["a", "dog"]),
    ],
)
def test_of_truths_in_one_batch_the_last_stands(client, dog, labels, expected, categories):
    assert verdict(tell(client, *(truth("r", label=label) for label in labels))) == expected

    assert matrix(client)[0] == categories


@pytest.mark.parametrize("request_id", ["r", "later"], ids=["joined", "waiting"])
@pytest.mark.parametrize("labels", ["c", "cc", "ca", "cac"])
def test_a_batch_of_truths_sent_again_brings_nothing(client, dog, stored, labels, request_id):
    batch = [truth(request_id, label=label) for label in labels]
    accepted, duplicates, _ = verdict(tell(client, *batch))
    assert (accepted, duplicates) == (1, len(labels) - 1)
    before = stored(), matrix(client)

    assert verdict(tell(client, *batch)) == (0, len(labels), 0)
    assert (stored(), matrix(client)) == before


def test_a_truth_is_about_one_row_of_a_request(client):
    rows = [prediction(requestId="r", batchIndex=place, label="dog") for place in (0, 1)]
    verdict(predict(client, *rows))

    verdict(tell(client, truth("r", batchIndex=1, label="cat")))
    assert matrix(client) == (["cat", "dog"], [0, 1, 0, 0])


def test_a_truth_is_about_one_model(client, dog):
    assert verdict(tell(client, truth("r", model="other", label="dog"))) == (1, 0, 1)

    assert matrix(client) == ([], [])


def test_a_truth_counts_for_champion_and_challenger(client):
    rows = [prediction(requestId="r", version=v, label=v) for v in ("champion", "challenger")]
    verdict(predict(client, *rows))

    assert verdict(tell(client, truth("r", label="champion"))) == (1, 0, 0)
    assert matrix(client) == (["challenger", "champion"], [0, 0, 1, 1])


def test_a_challenger_that_comes_after_the_truth_is_judged_by_it(client):
    verdict(predict(client, prediction(requestId="r", version="1", label="a")))
    verdict(tell(client, truth("r", label="a")))

    verdict(predict(client, prediction(requestId="r", version="2", label="b")))
    assert matrix(client) == (["a", "b"], [1, 1, 0, 0])


def test_a_correction_reaches_champion_and_challenger(client):
    rows = [prediction(requestId="r", version=v, label=v) for v in ("champion", "challenger")]
    verdict(predict(client, *rows))
    tell(client, truth("r", label="champion"))

    assert verdict(tell(client, truth("r", label="challenger"))) == (1, 0, 0)
    assert matrix(client) == (["challenger", "champion"], [1, 1, 0, 0])


def test_a_truth_about_a_failed_attempt_waits_for_the_retry(client):
    predict(client, prediction(requestId="r", error=True))

    assert verdict(tell(client, truth("r", label="a"))) == (1, 0, 1)
    predict(client, prediction(requestId="r", label="a"))
    assert matrix(client) == (["a"], [1])


@pytest.mark.parametrize(
    ("output", "said", "reason"),
    [
        ({"label": "a"}, {"value": 1}, "does classification, and this is regression"),
        ({"value": 1}, {"label": "a"}, "does regression, and this is classification"),
        ({"detections": []}, {"label": "a"}, "does detection, and this is classification"),
    ],
    ids=["a value for a classifier", "a label for a regressor", "a label for a detector"],
)
def test_a_truth_of_the_other_kind_is_refused(client, stored, output, said, reason):
    verdict(predict(client, prediction(requestId="r", **output)))
    before = stored()

    answer = tell(client, truth("r", **said))
    assert answer.status_code == 422
    (field,) = said
    assert answer.json["errors"] == [
        {"index": 0, "field": field, "reason": f"model shop/checkout/fraud {reason}"}
    ]
    assert stored() == before


REQUESTS, LABELS = st.sampled_from("rst"), st.sampled_from("ab")
BATCHES = st.lists(
    st.tuples(
        st.sampled_from(["predictions", "feedback"]),
        st.lists(st.tuples(REQUESTS, LABELS), min_size=1, max_size=5),
    ),
    min_size=1,
    max_size=6,
)


@examples(25, thorough=60)
@given(batches=BATCHES)
def test_whatever_the_order_each_request_counts_once_with_its_last_truth(client, batches):
    """Against a plain account: the first prediction of a request and its last truth."""
    name, predicted, actual = token_hex(6), {}, {}
    for kind, rows in batches:
        if kind == "predictions":
            fresh = len({id_ for id_, _ in rows} - predicted.keys())
            sent = [prediction(requestId=i, label=x, model=name) for i, x in rows]
            assert verdict(predict(client, *sent)) == (fresh, len(rows) - fresh, 0)
            predicted = dict(reversed(rows)) | predicted
        else:
            sent = [truth(i, label=x, model=name) for i, x in rows]
            news = {i for i, x in dict(rows).items() if actual.get(i) != x}
            expected = (len(news), len(rows) - len(news), len(news - predicted.keys()))
            assert verdict(tell(client, *sent)) == expected
            assert verdict(tell(client, *sent)) == (0, len(rows), 0)
            actual |= dict(rows)
    pairs = [(predicted[i], actual[i]) for i in predicted.keys() & actual.keys()]
    categories = sorted({label for pair in pairs for label in pair})
    expected = [pairs.count((p, a)) for a in categories for p in categories]
    answer = metrics(client, modelName=name)
    assert answer.json["metrics"][0]["confusionMatrix"]["values"] == expected
