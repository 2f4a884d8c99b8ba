"""Tags of predictions: stored, filtered by, and no part of a request's identity."""

import pytest

from tests.api.given import MINUTE, native_metrics, predict, prediction, tell, truth, verdict

FR, DE = {"country": "FR", "plan": "pro"}, {"country": "DE", "plan": "free"}


def tagged(request_id, tags, label="yes"):
    return prediction(requestId=request_id, label=label, tags=tags)


def counted(client, *tags, **parameters):
    """(truths, predictions, accuracy) of the minute, with these tags."""
    answer = native_metrics(client, tag=list(tags), **parameters)
    assert answer.status_code == 200, answer.text
    [bucket] = answer.get_json()["buckets"]
    return bucket["n"], bucket["predictions"], bucket["accuracy"]


@pytest.fixture
def given(client):
    """Two right ones of France, one wrong of Germany, and one without tags."""
    rows = [
        tagged("a", FR),
        tagged("b", FR | {"plan": "free"}),
        tagged("c", DE),
        prediction(requestId="d", label="yes"),
    ]
    verdict(predict(client, *rows))
    labels = {"a": "yes", "b": "yes", "c": "no", "d": "no"}
    verdict(tell(client, *(truth(id_, label=label) for id_, label in labels.items())))
    return client


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ([], (4, 4, 0.5)),
        (["country:FR"], (2, 2, 1.0)),
        (["country:DE"], (1, 1, 0.0)),
        (["country:FR", "country:DE"], (3, 3, pytest.approx(2 / 3))),
        (["country:FR", "plan:pro"], (1, 1, 1.0)),
        (["country:FR", "country:DE", "plan:free"], (2, 2, 0.5)),
        (["country:"], (1, 1, 0.0)),
        (["country:", "country:DE"], (2, 2, 0.0)),
    ],
)
def test_keys_all_have_to_match_and_values_of_one_are_alternatives(given, tags, expected):
    assert counted(given, *tags) == expected


def test_a_request_is_the_same_whatever_its_tags_are(client, stored):
    assert verdict(predict(client, tagged("a", FR))) == (1, 0, 0)
    for other in (DE, FR | {"plan": "free"}, {}):
        assert verdict(predict(client, tagged("a", other))) == (0, 1, 0)
    assert verdict(predict(client, prediction(requestId="a", label="yes"))) == (0, 1, 0)
    assert verdict(predict(client, tagged("b", FR), tagged("b", DE))) == (1, 1, 0)

    assert counted(client, "country:FR") == (0, 2, None)
    assert stored()["prediction_key"] == 2


@pytest.mark.parametrize("order", ["prediction first", "truth first"])
def test_truths_are_counted_where_their_prediction_is(client, order):
    steps = [lambda: predict(client, tagged("a", FR)), lambda: tell(client, truth("a", label="no"))]
    for step in steps if order == "prediction first" else reversed(steps):
        verdict(step())
    assert counted(client, "country:FR") == counted(client) == (1, 1, 0.0)

    verdict(tell(client, truth("a", label="yes")))
    assert counted(client, "country:FR") == counted(client) == (1, 1, 1.0)
    assert counted(client, "country:", "country:FR") == (1, 1, 1.0)


def test_answers_of_two_versions_have_tags_of_their_own(client):
    verdict(predict(client, tagged("a", FR) | {"version": "1"}))
    verdict(predict(client, tagged("a", DE, label="no") | {"version": "2"}))
    verdict(tell(client, truth("a", label="yes")))

    assert counted(client, "country:FR") == (1, 1, 1.0)
    assert counted(client, "country:DE") == (1, 1, 0.0)
    assert counted(client, "country:DE", version="2") == (1, 1, 0.0)
    assert native_metrics(client, tag="country:DE", version="1").status_code == 404


def test_inference_stats_of_some_tags(given):
    def totals(**parameters):
        answer = given.get("/api/v1/inference-stats", query_string=MINUTE | parameters)
        assert answer.status_code == 200, answer.text
        models = answer.get_json()["models"]
        return answer.get_json()["totals"]["inferences"]["now"], [
            (model["inferences"]["now"], [c["outputs"]["now"] for c in model["classes"]])
            for model in models
        ]

    assert totals() == (4, [(4, [4])])
    assert totals(tag="country:FR") == (2, [(2, [2])])
    assert totals(tag=["country:FR", "country:DE", "plan:free"]) == (2, [(2, [2])])
    assert totals(tag="country:IT") == (0, [])


@pytest.mark.parametrize("tag", ["country", ":FR", ""])
def test_a_filter_needs_a_key_and_a_value(client, tag):
    for answer in (
        native_metrics(client, tag=tag),
        client.get("/api/v1/inference-stats", query_string={"tag": tag}),
    ):
        assert answer.status_code == 400
        assert "like country:FR" in answer.get_json()["detail"]


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({f"key{n}": "x" for n in range(9)}, "must have at most 8"),
        ({"a": ""}, "must have at least 1"),
        ({"": "a"}, "must have at least 1"),
        ({"a:b": "c"}, "must not have a colon in a key"),
        ({"a": "x" * 201}, "must have at most 200"),
        ({"a": "x\0"}, "must not contain the character NUL"),
        ({"a": 1}, "must be a text"),
        (["a"], "must be an object"),
    ],
)
def test_what_is_no_tag(client, tags, reason, stored):
    answer = predict(client, tagged("a", tags))
    assert answer.status_code == 422
    [error] = answer.get_json()["errors"]
    assert error["field"].startswith("tags")
    assert stored()["model"] == 0


def grouped(client, kind="classification", **parameters):
    """The groups and the remainder by country, and the whole."""
    answer = native_metrics(client, kind, groupBy="country", **parameters)
    assert answer.status_code == 200, answer.text
    body = answer.get_json()
    return body["groups"], body["remainder"], body["buckets"]


def test_an_answer_for_each_value_of_a_tag(given):
    groups, remainder, [whole] = grouped(given)

    assert [(group["value"], group["n"], group["predictions"]) for group in groups] == [
        ("FR", 2, 2),
        (None, 1, 1),
        ("DE", 1, 1),
    ]
    assert remainder is None
    for group in groups:
        [expected] = native_metrics(given, tag=f"country:{group['value'] or ''}").get_json()[
            "buckets"
        ]
        assert group["buckets"] == [expected]
    assert whole["n"] == 4


def test_the_other_values_are_one_remainder(given):
    [france], remainder, [whole] = grouped(given, groupLimit=1)

    assert (france["value"], remainder["values"]) == ("FR", 2)
    assert (remainder["n"], remainder["predictions"]) == (2, 2)
    [others] = native_metrics(given, tag=["country:DE", "country:"]).get_json()["buckets"]
    assert remainder["buckets"] == [others]
    assert france["buckets"][0]["n"] + others["n"] == whole["n"]


def test_values_without_a_prediction_in_the_window_are_no_group(given):
    verdict(predict(given, tagged("later", {"country": "IT"}) | {"time": MINUTE["endTime"]}))

    groups, remainder, _ = grouped(given)
    assert [group["value"] for group in groups] == ["FR", None, "DE"]
    assert remainder is None
    groups, remainder, _ = grouped(given, tag="country:IT")
    assert (groups, remainder) == ([], None)


def test_regression_by_tag(client):
    values = {"a": ({"country": "FR"}, 1, 2), "b": ({"country": "DE"}, 1, 4), "c": ({}, 1, 1)}
    verdict(
        predict(
            client,
            *(
                prediction(requestId=id_, value=value, tags=tags)
                for id_, (tags, value, _) in values.items()
            ),
        )
    )
    verdict(tell(client, *(truth(id_, value=actual) for id_, (*_, actual) in values.items())))

    groups, _, _ = grouped(client, "regression", interval="30s")
    errors = {
        group["value"]: [b["meanAbsoluteError"] for b in group["buckets"]] for group in groups
    }
    assert errors == {"FR": [1.0, None], "DE": [3.0, None], None: [0.0, None]}


def test_inference_totals_by_tag(given):
    query = MINUTE | {"groupBy": "country", "groupLimit": 1}
    answer = given.get("/api/v1/inference-stats", query_string=query).get_json()

    [france] = answer["groups"]
    assert (france["value"], france["inferences"]["now"]) == ("FR", 2)
    assert (answer["remainder"]["values"], answer["remainder"]["inferences"]["now"]) == (2, 2)
    assert answer["totals"]["inferences"]["now"] == 4


def test_groups_count_as_buckets_of_the_answer(given):
    answer = native_metrics(given, groupBy="country", groupLimit=100, interval="500ms")
    assert answer.status_code == 400
    assert answer.get_json()["detail"] == "12240 buckets; an answer may have 10000"
    assert native_metrics(given, groupBy="").status_code == 422
    assert native_metrics(given, groupBy="country", groupLimit=101).status_code == 422
