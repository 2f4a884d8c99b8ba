"""Native metrics: values worked out by hand, windows and grids, moments, and refusals."""

import sys
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from app.query.measure import Surface, shown_in
from app.query.measures import CLASSIFICATION, REGRESSION
from app.query.window import zones
from tests.api.given import (
    MINUTE,
    at,
    categorical,
    given_pairs,
    native_metrics,
    now_of,
    predict,
    prediction,
    subscribed,
    tell,
    truth,
)

ALL_TIME = {"startTime": "0001-01-01T00:00:00Z", "endTime": "9999-12-31T23:59:59.999999Z"}
SUBJECTS = {"classification": "fraud", "regression": "price"}
CLASS_METRICS = [one.wire_name for one in shown_in(Surface.REST, CLASSIFICATION)]
ERROR_METRICS = [one.wire_name for one in shown_in(Surface.REST, REGRESSION)]
SHOWN = text("SELECT zone, :noon AT TIME ZONE zone FROM unnest(CAST(:zones AS text[])) AS zone")
# Of 9 truths 7 are predicted right: cat 3 of 4, dog 4 of 5, each missed once for the other.
PETS = [("cat", "cat")] * 3 + [("dog", "cat")] + [("dog", "dog")] * 4 + [("cat", "dog")]


def answered(client, kind="classification", **parameters):
    answer = native_metrics(client, kind, **parameters)
    assert answer.status_code == 200, answer.text
    return answer.json


def buckets(client, kind="classification", **parameters):
    return answered(client, kind, **parameters)["buckets"]


def counts(client, **parameters):
    return [bucket["n"] for bucket in buckets(client, **parameters)]


def starts(client, **parameters):
    return [bucket["startTime"] for bucket in buckets(client, **parameters)]


@pytest.fixture
def hit(client):
    """One true positive at START."""
    given_pairs(client, [("a", "a")])


# --- classification -------------------------------------------------------------------------


def test_everything_about_two_classes(client):
    given_pairs(client, PETS)
    predict(client, prediction(requestId="untold", label="cat"))

    (bucket,) = buckets(client)
    assert bucket == {
        "startTime": MINUTE["startTime"],
        "endTime": MINUTE["endTime"],
        "n": 9,
        "predictions": 10,
        "labelledShare": 0.9,
        "accuracy": pytest.approx(7 / 9),
        "precision": pytest.approx((3 / 4 + 4 / 5) / 2),
        "recall": pytest.approx((3 / 4 + 4 / 5) / 2),
        "specificity": pytest.approx((4 / 5 + 3 / 4) / 2),
        "f1": pytest.approx((6 / 8 + 8 / 10) / 2),
        "matthewsCorrelation": pytest.approx((7 * 9 - 41) / (81 - 41)),
        "classes": [
            {"label": "cat", "precision": 0.75, "recall": 0.75, "f1": 0.75, "support": 4},
            {"label": "dog", "precision": 0.8, "recall": 0.8, "f1": 0.8, "support": 5},
        ],
        "categories": ["cat", "dog"],
        "confusionMatrix": [[3, 1], [1, 4]],
    }


@pytest.mark.parametrize(
    ("average", "precision", "recall", "f1", "specificity"),
    [
        # a: TP 2, FP 0, FN 1; b: TP 1, FP 1, FN 0; c: TP 0, FP 0, FN 0 of 4 truths
        pytest.param(
            "macro", (1 + 1 / 2) / 2, (2 / 3 + 1) / 2, (4 / 5 + 2 / 3) / 2, (1 + 2 / 3 + 1) / 3
        ),
        pytest.param("weighted", (3 + 1 / 2) / 4, 3 / 4, (3 * 4 / 5 + 2 / 3) / 4, (3 + 2 / 3) / 4),
        pytest.param("micro", 3 / 4, 3 / 4, 3 / 4, 7 / 8),
    ],
)
def test_an_average_is(client, average, precision, recall, f1, specificity):
    subscribed(client, categorical("a", "b", "c"))
    given_pairs(client, [("a", "a"), ("a", "a"), ("b", "a"), ("b", "b")])

    (bucket,) = buckets(client, average=average)
    expected = [0.75, precision, recall, specificity, f1]
    averages = ("accuracy", "precision", "recall", "specificity", "f1")
    assert [bucket[name] for name in averages] == pytest.approx(expected)


def test_a_class_without_denominator_has_null(client):
    given_pairs(client, [("a", "b")])

    (bucket,) = buckets(client)
    assert bucket["classes"] == [
        {"label": "a", "precision": 0, "recall": None, "f1": 0, "support": 0},
        {"label": "b", "precision": None, "recall": 0, "f1": 0, "support": 1},
    ]


def test_an_empty_bucket_has_nulls(client, hit):
    _, empty = buckets(client, interval="30s")

    assert {empty[name] for name in CLASS_METRICS} == {None}
    assert (empty["n"], empty["predictions"], empty["labelledShare"]) == (0, 0, None)
    assert empty["classes"] == empty["categories"] == empty["confusionMatrix"] == []


def test_predictions_without_truth_have_a_share_of_zero(client):
    predict(client, prediction(label="a"), prediction(label="b"))

    (bucket,) = buckets(client)
    assert (bucket["n"], bucket["predictions"], bucket["labelledShare"]) == (0, 2, 0)
    assert bucket["accuracy"] is None


def test_a_failed_request_is_no_prediction(client, hit):
    predict(client, prediction(error=True))

    (bucket,) = buckets(client)
    assert (bucket["predictions"], bucket["labelledShare"]) == (1, 1)


def test_a_subscribed_model_without_data_is_answered(client):
    subscribed(client, categorical("a", "b"))

    assert counts(client, interval="30s") == [0, 0]


# --- regression -----------------------------------------------------------------------------


def test_everything_about_errors(client):
    given_pairs(client, [(3, 2), (6, 8), (4, 2), (1, 0)], output="value")  # errors 1, -2, 2, 1
    predict(client, prediction(requestId="untold", value=1))

    (bucket,) = buckets(client, "regression")
    assert bucket == {
        "startTime": MINUTE["startTime"],
        "endTime": MINUTE["endTime"],
        "n": 4,
        "predictions": 5,
        "labelledShare": 0.8,
        "meanAbsoluteError": 1.5,
        "meanSquaredError": 2.5,
        "rootMeanSquaredError": pytest.approx(2.5**0.5),
        "meanError": 0.5,
        "r2": pytest.approx(1 - 10 / 36),  # truths are -1, 5, -1 and -3 from their mean
        "meanAbsolutePercentageError": pytest.approx((1 / 2 + 2 / 8 + 2 / 2) / 3),  # 0 is excluded
    }


@pytest.mark.parametrize(
    ("pairs", "r2", "percentage"),
    [
        pytest.param([(1, 2), (3, 2)], None, 0.5, id="all truths are equal"),
        pytest.param([(1, 0), (3, 0)], None, None, id="all truths are 0"),
        pytest.param([(1, 1), (3, 3)], 1, 0, id="all are right"),
        pytest.param([(3, 1), (1, 3)], -3, pytest.approx(4 / 3), id="worse than the mean"),
    ],
)
def test_where_ratios_end(client, pairs, r2, percentage):
    given_pairs(client, pairs, output="value")

    (bucket,) = buckets(client, "regression")
    assert (bucket["r2"], bucket["meanAbsolutePercentageError"]) == (r2, percentage)


def test_a_ratio_beyond_all_doubles_ends_at_the_last(client):
    given_pairs(client, [(1e100, 1e-140), (1e100, 2e-140)], output="value")

    (bucket,) = buckets(client, "regression")
    assert bucket["r2"] == -sys.float_info.max
    assert bucket["meanSquaredError"] == pytest.approx(1e200)


def test_an_empty_bucket_has_no_errors(client):
    given_pairs(client, [(1, 1)], output="value")

    _, empty = buckets(client, "regression", interval="30s")
    assert {empty[name] for name in ERROR_METRICS} == {None}


# --- parts of a model -----------------------------------------------------------------------


def test_versions_and_deployments_are_distinguished(client):
    for id_, (deployment, version, actual, n) in enumerate(
        [("eu", "1", "a", 1), ("eu", "2", "b", 2), ("us", "2", "a", 4)]
    ):
        rows = [f"{id_}-{number}" for number in range(n)]
        part = {"label": "a", "deployment": deployment, "version": version}
        predict(client, *(prediction(requestId=row, **part) for row in rows))
        tell(client, *(truth(row, label=actual) for row in rows))

    assert counts(client) == [7]
    assert counts(client, version="1") == [1]
    assert counts(client, version="2") == [6]
    assert counts(client, deployment="eu") == [3]
    (bucket,) = buckets(client, version="2", deployment="eu")
    assert (bucket["n"], bucket["accuracy"], bucket["predictions"]) == (2, 0, 2)


# --- moments --------------------------------------------------------------------------------


def test_a_moment_before_a_correction_has_the_old_answer(client, database):
    given_pairs(client, [("a", "b"), ("a", "a")])
    before = now_of(database)
    tell(client, truth(f"{at().isoformat()}-0", label="a"))
    after = now_of(database)

    was = answered(client, asOf=before.isoformat())
    (bucket,) = was["buckets"]
    assert (bucket["n"], bucket["accuracy"]) == (2, 0.5)
    assert (was["exact"], was["snapped"]) == (True, [])
    assert datetime.fromisoformat(was["freshness"]["asOf"]) == before
    assert [b["accuracy"] for b in buckets(client, asOf=after.isoformat())] == [1]
    assert [b["accuracy"] for b in buckets(client)] == [1]


def test_before_all_began_there_was_nothing(client, hit):
    (bucket,) = buckets(client, asOf="2025-02-25T11:52:22Z")

    assert (bucket["n"], bucket["predictions"]) == (0, 0)


def test_an_answer_states_its_freshness(client, database, hit):
    earliest = now_of(database)
    answer = answered(client)

    as_of = datetime.fromisoformat(answer["freshness"]["asOf"])
    assert earliest <= as_of <= now_of(database)
    clean_until = answer["freshness"]["cleanUntil"]
    assert clean_until is None or datetime.fromisoformat(clean_until) <= as_of
    assert counts(client, asOf=as_of.isoformat()) == [1]


def test_an_answer_explains_what_it_read_on_request(client, hit):
    assert "explain" not in answered(client)

    pieces = answered(client, explain="true")["explain"]
    assert sum(piece["rows"] for piece in pieces) == 1
    assert pieces[-1]["source"] == "outcome"
    assert pieces[-1]["learnedUntil"] is None
    assert pieces[-1].keys() == {"source", "learnedFrom", "learnedUntil", "rows"}


# --- grids ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "end", "count", "second"),
    [
        ("10s", "2025-02-25T11:52:22Z", 6, "2025-02-25T11:51:32Z"),
        ("1h30m", "2025-02-25T15:00:00Z", 3, "2025-02-25T13:21:22Z"),
        ("1d", "2025-02-28T11:51:22Z", 3, "2025-02-26T11:51:22Z"),
        ("2w", "2025-03-25T11:51:22Z", 2, "2025-03-11T11:51:22Z"),
        ("1mo", "2025-05-25T11:51:22.000001Z", 4, "2025-03-25T11:51:22Z"),
        ("1y", "2027-02-25T11:51:22Z", 2, "2026-02-25T11:51:22Z"),
        ("999y", "9999-12-31T23:59:59Z", 8, "3024-02-25T11:51:22Z"),
    ],
)
def test_buckets_begin_at_the_start(client, hit, interval, end, count, second):
    found = starts(client, interval=interval, endTime=end)

    assert len(found) == count
    assert found[:2] == [MINUTE["startTime"], second]
    assert counts(client, interval=interval, endTime=end) == [1] + [0] * (count - 1)


@pytest.mark.parametrize(
    ("interval", "end", "second"),
    [
        ("10s", "2025-02-25T11:52:22Z", "2025-02-25T11:51:30Z"),
        ("1h30m", "2025-02-25T15:00:00Z", "2025-02-25T12:00:00Z"),
        ("1d", "2025-02-28T11:51:22Z", "2025-02-26T00:00:00Z"),
        ("1w", "2025-03-25T11:51:22Z", "2025-03-03T00:00:00Z"),  # a Monday
        ("1mo", "2025-05-25T11:51:22Z", "2025-03-01T00:00:00Z"),
        ("1y", "2027-02-25T11:51:22Z", "2026-01-01T00:00:00Z"),
        ("999y", "9999-12-31T23:59:59Z", "2999-01-01T00:00:00Z"),
    ],
)
def test_buckets_lie_on_the_grid_that_never_moves(client, hit, interval, end, second):
    found = starts(client, interval=interval, endTime=end, align="epoch")

    assert found[:2] == [MINUTE["startTime"], second]


def test_days_of_a_zone_are_as_long_as_its_clocks_say(client):
    window = {"startTime": "2025-03-29T23:00:00Z", "endTime": "2025-03-31T22:00:00Z"}
    given_pairs(client, [("a", "a")], time=datetime(2025, 3, 30, 21, 59, tzinfo=UTC))
    given_pairs(client, [("a", "a")], time=datetime(2025, 3, 30, 22, 0, tzinfo=UTC))

    paris = {"interval": "1d", "timeZone": "Europe/Paris", "align": "epoch"}
    assert starts(client, **window, **paris) == ["2025-03-29T23:00:00Z", "2025-03-30T22:00:00Z"]
    assert counts(client, **window, **paris) == [1, 1]
    assert counts(client, **window, interval="1d") == [2, 0]


def test_months_that_far_from_the_epoch_are_all_there(client, hit):
    window = {"startTime": "2099-01-01T00:00:00Z", "endTime": "2100-01-01T00:00:00Z"}

    found = starts(client, **window, interval="1mo", align="epoch")
    assert found == [f"2099-{month:02}-01T00:00:00Z" for month in range(1, 13)]


def test_10000_buckets_are_answered(client, hit):
    end = at(10_000).isoformat()

    assert counts(client, interval="1s", endTime=end) == [1] + [0] * 9_999


def test_all_time_is_answered(client, hit):
    assert counts(client, **ALL_TIME) == [1]
    assert sum(counts(client, **ALL_TIME, interval="1y")) == 1
    assert sum(counts(client, **ALL_TIME, interval="999y", align="epoch")) == 1


@pytest.mark.parametrize("kind", ["classification", "regression"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Manila", "America/Juneau"])
@pytest.mark.parametrize("align", ["start", "epoch"])
@pytest.mark.parametrize(
    "edge",
    [
        {"startTime": "9999-12-31T23:59:00Z", "endTime": "9999-12-31T23:59:59.999999Z"},
        {"startTime": "0001-01-01T00:00:00Z", "endTime": "0001-01-01T00:01:00Z"},
    ],
    ids=["last", "first"],
)
def test_at_the_edges_of_time_there_is_nothing_and_no_crash(client, kind, zone, align, edge):
    given_pairs(client, [("a", "a")])
    given_pairs(client, [(1, 1)], output="value", model="price")
    more = edge | {"align": align, "timeZone": zone, "explain": "true"}
    more |= {"asOf": "0001-01-01T00:00:00Z", "model": SUBJECTS[kind]}
    for interval in ("10s", "1d", "1mo", "999y"):
        found = buckets(client, kind, **more, interval=interval)
        assert {bucket["n"] for bucket in found} == {0}
        assert found[0]["startTime"] == edge["startTime"]
        assert found[-1]["endTime"] == edge["endTime"]


def test_each_time_zone_of_ours_is_the_databases_too(client, database, hit):
    """Its clocks, too: some names mean an offset to PostgreSQL, and a zone to Python."""
    with database.reading() as conn:
        theirs = set(conn.execute(text("SELECT name FROM pg_timezone_names")).scalars())
    common = sorted(zones() & theirs)
    assert len(common) > 400
    for month in (1, 4, 7, 10):
        noon = datetime(2024, month, 1, 12, tzinfo=UTC)
        with database.reading() as conn:
            shown = conn.execute(SHOWN, {"noon": noon, "zones": common}).all()
        ours = [(zone, noon.astimezone(ZoneInfo(zone)).replace(tzinfo=None)) for zone, _ in shown]
        assert [tuple(row) for row in shown] == ours
    for zone in zones() - theirs:  # one that is too new for the tables of the database's host
        assert native_metrics(client, interval="1d", timeZone=zone).status_code == 400, zone
