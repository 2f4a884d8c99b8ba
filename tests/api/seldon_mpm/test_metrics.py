"""Seldon's metrics over time: windows, intervals, values and refusals."""

import pytest

from tests.api.given import (
    MINUTE,
    NUMERIC,
    SELDON,
    SELDON_MODEL,
    at,
    buckets,
    categorical,
    given_pairs,
    matrices,
    matrix,
    metrics,
    pairs_of,
    predict,
    prediction,
    subscribed,
    tell,
    truth,
)

EMPTY_MATRIX = {"categories": [], "values": [], "computedConfusionValues": []}
FORM = "interval must be a duration like 10s, 1.5h or 2h45m"
TIME_FORM = "must be RFC 3339 with an offset, like 2025-02-25T11:51:22Z"


@pytest.fixture
def hit(client):
    """One true positive at START."""
    given_pairs(client, [("a", "a")])


def refused(answer):
    """The message of a request that was understood to be wrong."""
    assert answer.status_code == 400, answer.text
    assert answer.content_type == "application/json"
    assert list(answer.json) == ["code", "message", "details"]
    assert (answer.json["code"], answer.json["details"]) == (3, [])
    return answer.json["message"]


# --- intervals ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "message"),
    [
        ("10", FORM),
        ("1d", FORM),
        ("", FORM),
        ("s", FORM),
        ("µs", FORM),
        ("1.5.5s", FORM),
        ("1 s", FORM),
        ("1S", FORM),
        ("1e1s", FORM),
        ("\u0661s", FORM),  # an Arabic one
        (".s", FORM),
        ("10s\n", FORM),
        ("0s", "the interval must be longer than zero"),
        ("-1s", "interval must not be negative"),
        ("1500ns", "interval must be a whole number of microseconds"),
        ("9" * 40 + "h", "interval is too long"),
        ("1us", "60000000 buckets; an answer may have 100"),
        ("1µs", "60000000 buckets; an answer may have 100"),
        ("1μs", "60000000 buckets; an answer may have 100"),
        ("1000ns", "60000000 buckets; an answer may have 100"),
        (".5s", "120 buckets; an answer may have 100"),
        ("60.000001s", "the interval is longer than the window"),
        ("1.5h", "the interval is longer than the window"),
        ("2h45m", "the interval is longer than the window"),
    ],
)
def test_an_interval_is_refused(client, hit, interval, message):
    assert refused(metrics(client, interval=interval)) == message


@pytest.mark.parametrize(
    ("interval", "count"),
    [
        ("10s", 6),
        ("+5s", 12),
        (".6s", 100),
        ("600ms", 100),
        ("600000us", 100),
        ("600000µs", 100),  # the micro sign
        ("600000μs", 100),  # the Greek letter
        ("0.5m", 2),
        ("0m30s", 2),
        ("1m", 1),
        ("60s", 1),
    ],
)
def test_an_interval_divides_the_window(client, hit, interval, count):
    assert len(buckets(metrics(client, interval=interval))) == count


def test_hours_and_minutes_add_up(client, hit):
    window = {"endTime": "2025-02-25T17:21:22Z"}  # five and a half hours

    assert len(buckets(metrics(client, interval="2h45m", **window))) == 2
    assert len(buckets(metrics(client, interval="1.5h", **window))) == 4


def test_exactly_100_buckets_are_answered(client, hit):
    window = {"endTime": "2025-02-25T11:53:02Z"}

    assert len(buckets(metrics(client, interval="1s", **window))) == 100


def test_101_buckets_are_refused(client, hit):
    window = {"endTime": "2025-02-25T11:53:02.000001Z"}

    message = refused(metrics(client, interval="1s", **window))
    assert message == "101 buckets; an answer may have 100"


def test_without_an_interval_the_window_is_one_bucket(client, hit):
    (bucket,) = buckets(metrics(client))

    assert (bucket["accuracy"], bucket["endTime"]) == (1, MINUTE["endTime"])


def test_the_last_bucket_is_clipped(client):
    for second in (0, 24, 25, 49, 50, 59, 60):
        given_pairs(client, [("a", "a")], time=at(second))

    found = buckets(metrics(client, interval="25s"))
    ends = ["2025-02-25T11:51:47Z", "2025-02-25T11:52:12Z", "2025-02-25T11:52:22Z"]
    assert [bucket["endTime"] for bucket in found] == ends
    assert [bucket["confusionMatrix"]["values"] for bucket in found] == [[2], [2], [2]]


# --- windows --------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["2025-02-25T11:51:22Z", "2025-02-25T11:51:21.999999Z"])
def test_a_window_that_does_not_go_forward_is_refused(client, hit, end):
    message = refused(metrics(client, endTime=end))

    assert message == "the end of the window must be after its start"


@pytest.mark.parametrize("name", ["namespace", "pipelineName", "modelName", "startTime", "endTime"])
@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_a_missing_parameter_is_named(client, kind, name):
    assert refused(metrics(client, kind, **{name: None})) == f"{name} is required"


@pytest.mark.parametrize("name", ["namespace", "pipelineName", "modelName"])
def test_a_name_with_nul_is_refused(client, name):
    message = refused(metrics(client, **{name: "a\0b"}))

    assert message == f"{name} must not contain the character NUL"


@pytest.mark.parametrize(
    "time",
    [
        "2025-02-25T11:51:22",
        "2025-02-25",
        "2025-02-25T11:51Z",
        "2025-02-25T11:51:22.Z",
        "2025-02-25T11:51:22,5Z",
        "2025-02-25T11:51:22+0000",
        "2025-02-25T11:51:22+99:99",
        "2025-02-25T11:51:22+05:60",
        "20250225T115122Z",
        "2025-W09-2T11:51:22Z",
        "10000-01-01T00:00:00Z",
        "1740484282",
        "yesterday",
        "",
    ],
)
def test_a_time_of_another_form_is_refused(client, hit, time):
    assert refused(metrics(client, startTime=time)) == f"startTime {TIME_FORM}"
    assert refused(metrics(client, endTime=time)) == f"endTime {TIME_FORM}"


@pytest.mark.parametrize(
    ("time", "reason"),
    [
        ("2025-02-30T11:51:22Z", "day is out of range for month"),
        ("2025-02-25T24:00:00Z", "hour must be in 0..23"),
        ("2025-02-25T11:51:60Z", "second must be in 0..59"),
        ("0000-01-01T00:00:00Z", "year 0 is out of range"),
        ("0001-01-01T00:00:00+14:00", "is out of range"),
        ("9999-12-31T23:59:59-14:00", "is out of range"),
    ],
)
def test_a_time_that_does_not_exist_is_refused(client, hit, time, reason):
    assert refused(metrics(client, startTime=time)) == f"startTime {reason}"


@pytest.mark.parametrize(
    "start",
    [
        "2025-02-25T11:51:22.000000000Z",
        "2025-02-25T11:51:22.0000009Z",
        "2025-02-25t11:51:22z",
        "2025-02-25 11:51:22Z",
        "2025-02-25T11:51:22+00:00",
        "2025-02-25T11:51:22-00:00",
        "2025-02-25T13:51:22+02:00",
        "2025-02-25T04:21:22-07:30",
    ],
)
def test_a_start_is_the_same_instant_as(client, hit, start):
    assert matrix(client, startTime=start) == (["a"], [1])
    assert len(buckets(metrics(client, startTime=start, interval="1m"))) == 1


def test_a_plus_that_was_not_encoded_is_understood(client, hit):
    names = "namespace=shop&pipelineName=checkout&modelName=fraud"
    times = "startTime=2025-02-25T13:51:22+02:00&endTime=2025-02-25T13:52:22+02:00"

    answer = client.get(f"{SELDON}/metrics/pipeline/classification?{names}&{times}")
    (bucket,) = buckets(answer)
    assert (bucket["accuracy"], bucket["endTime"]) == (1, "2025-02-25T11:52:22Z")


def test_the_start_is_included_and_the_end_is_not(client):
    for microseconds in (-1, 0, 60_000_000 - 1, 60_000_000):
        given_pairs(client, [("a", "a")], time=at(microseconds=microseconds))

    assert matrix(client) == (["a"], [2])


def test_a_bucket_ends_where_the_next_begins(client):
    for microseconds in (9_999_999, 10_000_000, 19_999_999):
        given_pairs(client, [("a", "a")], time=at(microseconds=microseconds))

    assert matrices(client, interval="10s")[:3] == [[1], [2], []]


def test_nine_digits_mean_what_they_say(client):
    for microseconds in (123_456, 123_457):
        given_pairs(client, [("a", "a")], time=at(microseconds=microseconds))

    assert matrix(client, startTime="2025-02-25T11:51:22.123456999Z") == (["a"], [2])
    assert matrix(client, startTime="2025-02-25T11:51:22.123457000Z") == (["a"], [1])
    assert matrix(client, startTime="2025-02-25T11:51:22.123456000Z") == (["a"], [2])
    assert matrix(client, endTime="2025-02-25T11:51:22.123457000Z") == (["a"], [1])
    assert matrix(client, endTime="2025-02-25T11:51:22.123457999Z") == (["a"], [1])
    assert matrix(client, endTime="2025-02-25T11:51:22.123458000Z") == (["a"], [2])


@pytest.mark.parametrize(
    ("end", "written"),
    [
        ("2025-02-25T11:52:22.000Z", "2025-02-25T11:52:22Z"),
        ("2025-02-25T11:52:22.5Z", "2025-02-25T11:52:22.500Z"),
        ("2025-02-25T11:52:22.000001Z", "2025-02-25T11:52:22.000001Z"),
        ("2025-02-25T13:52:22+02:00", "2025-02-25T11:52:22Z"),
    ],
)
def test_an_end_has_a_fraction_only_where_there_is_one(client, hit, end, written):
    assert [bucket["endTime"] for bucket in buckets(metrics(client, endTime=end))] == [written]


def test_a_row_belongs_to_the_time_of_its_prediction(client):
    predict(client, prediction(requestId="r", label="a", time=at(5).isoformat()))
    tell(client, truth("r", label="a"))  # years later

    assert matrices(client, interval="30s") == [[1], []]


# --- models ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_an_unknown_model_is_not_found(client, kind):
    answer = metrics(client, kind)

    assert answer.status_code == 404
    message = "no predictions or subscription of model shop/checkout/fraud"
    assert answer.json == {"code": 5, "message": message, "details": []}


def test_a_classifier_has_no_regression_metrics(client, hit):
    message = refused(metrics(client, "regression"))

    assert message == "model shop/checkout/fraud does classification, not regression"


def test_a_regressor_has_no_classification_metrics(client):
    given_pairs(client, [(1, 1)], output="value")

    message = refused(metrics(client))
    assert message == "model shop/checkout/fraud does regression, not classification"


def test_a_subscribed_classifier_without_data_has_minus_one(client):
    subscribed(client, categorical("yes", "no"))

    assert buckets(metrics(client)) == [
        {
            "accuracy": -1,
            "confusionMatrix": EMPTY_MATRIX,
            "endTime": MINUTE["endTime"],
            "f1": -1,
            "precision": -1,
            "recall": -1,
            "specificity": -1,
        }
    ]


def test_a_subscribed_regressor_without_data_has_minus_one(client):
    subscribed(client, NUMERIC)

    assert buckets(metrics(client, "regression", interval="1m")) == [
        {
            "endTime": MINUTE["endTime"],
            "meanAbsoluteError": -1,
            "meanSquaredError": -1,
            "rootMeanSquaredError": -1,
        }
    ]


def test_predictions_without_truth_do_not_count(client, hit):
    predict(client, prediction(label="b"), prediction(requestId="untold", label="b"))

    assert matrix(client) == (["a"], [1])


def test_without_a_subscription_categories_stand_by_name(client):
    given_pairs(client, [("pear", "apple"), ("fig", "pear")])

    categories, values = matrix(client)
    assert categories == ["apple", "fig", "pear"]
    assert values == [0, 0, 1, 0, 0, 0, 0, 1, 0]


def test_declared_categories_stand_first_then_the_others_by_name(client):
    subscribed(client, categorical("yes", "no"))
    given_pairs(client, [("maybe", "no"), ("later", "yes")])

    categories, values = matrix(client)
    assert categories == ["yes", "no", "later", "maybe"]
    assert values == [0, 0, 1, 0] + [0, 0, 0, 1] + [0] * 8


# --- values ---------------------------------------------------------------------------------

IRIS = ["Setosa", "Versicolor", "Virginica"]
FIFTEEN = [0, 1, 0, 1, 2, 2, 2, 1, 2, 0, 0, 2, 2, 1, 2], [0, 0, 0, 1, 1] + [2] * 10
TEN = [1, 1, 0, 1, 0, 1, 0, 1, 1, 0], [0] * 8 + [1, 1]


@pytest.mark.parametrize(
    ("values", "accuracy", "precision", "recall", "f1", "specificity"),
    [
        pytest.param([0, 9, 0, 0, 7, 0, 0, 0, 0], 0.4375, 0.4375, 0.5, 0.46666667, 0.6666667),
        pytest.param([0, 2, 0, 0, 1, 0, 0, 5, 0], 0.125, 0.125, 0.33333334, 0.18181819, 0.6666667),
        pytest.param([0, 10, 0, 0, 0, 0, 0, 0, 0], 0, 0, 0, 0, 0.5),
        pytest.param([4, 0, 0, 0, 3, 0, 0, 0, 2], 1, 1, 1, 1, 1),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, list) else None,
)
def test_a_matrix_of_three_categories_has(
    client, values, accuracy, precision, recall, f1, specificity
):
    subscribed(client, categorical(*IRIS))
    given_pairs(client, list(pairs_of(values, IRIS)))

    (bucket,) = buckets(metrics(client))
    assert bucket["confusionMatrix"]["values"] == values
    assert bucket["accuracy"] == accuracy
    assert bucket["precision"] == precision
    assert bucket["recall"] == recall
    assert bucket["f1"] == f1
    assert bucket["specificity"] == specificity


@pytest.mark.parametrize(
    ("predicted", "actual", "accuracy"), [(*TEN, 0.4), (*FIFTEEN, 0.6)], ids=["binary", "three"]
)
def test_the_vendor_examples_of_accuracy(client, predicted, actual, accuracy):
    pairs = [(f"{p}", f"{a}") for p, a in zip(predicted, actual, strict=True)]
    given_pairs(client, pairs)

    (bucket,) = buckets(metrics(client))
    assert bucket["accuracy"] == accuracy


def test_a_binary_classifier(client):
    subscribed(client, categorical("no", "yes"))
    given_pairs(client, list(pairs_of([3, 1, 2, 4], ["no", "yes"])))

    assert buckets(metrics(client)) == [
        {
            "accuracy": 0.7,
            "precision": 0.7,  # (3/5 + 4/5) / 2
            "recall": 0.7083333,  # (3/4 + 4/6) / 2
            "specificity": 0.7083333,  # (4/6 + 3/4) / 2
            "f1": 0.70414203,  # 2 · 7/10 · 17/24 / (7/10 + 17/24) = 119/169
            "endTime": MINUTE["endTime"],
            "confusionMatrix": {
                "categories": ["no", "yes"],
                "values": [3, 1, 2, 4],
                "computedConfusionValues": [
                    {
                        "truePositiveCount": 3,
                        "falsePositiveCount": 2,
                        "falseNegativeCount": 1,
                        "trueNegativeCount": 4,
                    },
                    {
                        "truePositiveCount": 4,
                        "falsePositiveCount": 1,
                        "falseNegativeCount": 2,
                        "trueNegativeCount": 3,
                    },
                ],
            },
        }
    ]


@pytest.mark.parametrize(
    ("errors", "absolute", "squared", "root"),
    [
        pytest.param([3.5947158], 3.5947158, 12.921982, 3.5947158, id="vendor's first"),
        pytest.param([0.6448204, 3.2896414], 1.9672309, 5.618767, 2.3703938, id="vendor's second"),
        pytest.param([1, -2, 3], 2, 4.6666665, 2.1602468, id="2, 14/3 and its root"),
        pytest.param([0], 0, 0, 0, id="exact"),
        pytest.param([1e30], 1e30, "Infinity", 1e30, id="beyond 32 bits"),
        pytest.param([1e100], "Infinity", "Infinity", "Infinity", id="the largest"),
    ],
)
def test_errors_of_a_regressor(client, errors, absolute, squared, root):
    given_pairs(client, [(error, 0) for error in errors], output="value")

    assert buckets(metrics(client, "regression")) == [
        {
            "endTime": MINUTE["endTime"],
            "meanAbsoluteError": absolute,
            "meanSquaredError": squared,
            "rootMeanSquaredError": root,
        }
    ]


def test_numbers_are_written_as_32_bit_floats(client):
    given_pairs(client, list(pairs_of([0, 9, 0, 0, 7, 0, 0, 0, 0], IRIS)))

    written = metrics(client).text.replace(" ", "")
    assert '"f1":0.46666667,' in written
    given_pairs(client, [("a", "a")], time=at(100))
    written = metrics(client, startTime="2025-02-25T11:53:02Z", endTime="2025-02-25T11:53:03Z")
    assert '"accuracy":1,' in written.text.replace(" ", "")


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("1700-01-01T00:00:00.000001Z", "2200-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"),
    ],
    ids=["five centuries", "all time"],
)
def test_a_long_window_is_one_bucket(client, hit, start, end):
    (bucket,) = buckets(metrics(client, startTime=start, endTime=end))

    assert (bucket["accuracy"], bucket["endTime"]) == (1, end)


def test_a_parameter_of_the_future_is_ignored(client, hit):
    assert matrix(client, colour="green") == (["a"], [1])


def test_names_tell_models_apart(client, hit):
    for name in SELDON_MODEL:
        assert metrics(client, **{name: "other"}).status_code == 404
