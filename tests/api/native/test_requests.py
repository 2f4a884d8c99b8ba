"""The requests behind a number, against plain Python over the rows that were sent."""

from datetime import datetime
from itertools import count
from random import Random
from urllib.parse import quote

import pytest
from sqlalchemy import text

from app.query import requests as requests_module
from tests.api.given import MODEL, predict, prediction, tell, truth, verdict
from tests.api.requests_given import EVERYTHING, given_requests, learn, meets, some_predictions

PATH = "/api/v1/requests"


@pytest.fixture
def sent(client):
    """What a filter is asked about."""
    return given_requests(client)


def asked(client, status=200, path=PATH, **query):
    answer = client.get(path, query_string=MODEL | query)
    assert answer.status_code == status, answer.text
    return answer.json


def pages(client, between=lambda: None, **query):
    """All pages of a query; `between` runs between two of them."""
    page = asked(client, **query)
    yield page
    for _ in range(2_000):
        if page["nextCursor"] is None:
            return
        between()
        page = asked(client, **query | {"cursor": page["nextCursor"]})
        yield page
    raise AssertionError("the pages have no end")


def listed(pages):
    return [request for page in pages for request in page["requests"]]


def shown(request):
    """What is compared of a listed request."""
    names = ("requestId", "time", "version", "deployment", "predictedLabel", "confidence")
    known = ("failed", "actualLabel", "wrong", "corrected")
    return tuple(request[name] for name in names + known)


def expected(one):
    """The same for one that was sent."""
    time = one.time.isoformat().replace("+00:00", "Z")
    names = (one.id, time, one.version, one.deployment, one.label, one.confidence)
    wrong = None if one.truth is None else one.truth != one.label
    return (*names, one.failed, one.truth, wrong, len(one.truths) > 1)


def all_of(sent, query):
    return sorted((expected(one) for one in sent if meets(one, query)), key=repr)


def times(requests, name="time"):
    return [datetime.fromisoformat(request[name]) for request in requests]


# --- lists ----------------------------------------------------------------------------------


def test_a_filter_lists_what_was_sent(client, sent):
    for name, query in EVERYTHING.items():
        (page,) = pages(client, **query, limit=1000)

        assert sorted(map(shown, page["requests"]), key=repr) == all_of(sent, query), name
        assert times(page["requests"]) == sorted(times(page["requests"]), reverse=True), name
        assert len(page["requests"]) > 5 or name in ("never", "confidence"), name


def test_pages_are_the_list_in_parts(client, sent, monkeypatch):
    monkeypatch.setattr(requests_module, "MAX_READ", 40)
    for name, query in EVERYTHING.items():
        found = list(pages(client, **query, limit=9))

        assert sorted(map(shown, listed(found)), key=repr) == all_of(sent, query), name
        assert times(listed(found)) == sorted(times(listed(found)), reverse=True), name
        assert max(len(page["requests"]) for page in found) <= 9, name


def test_a_page_reads_a_bounded_number_of_rows_and_says_so(client, sent, monkeypatch):
    monkeypatch.setattr(requests_module, "MAX_READ", 40)
    rare = {"minConfidence": "0.9", "maxConfidence": "0.9"}
    found = list(pages(client, **rare))

    rows = sorted(1 + max(2 * len(one.truths) - 1, 0) for one in sent)
    assert sum(page["rowsRead"] for page in found) == sum(rows)
    # a page ends with the slice that reaches the bound: 40 predictions, and their truths
    most = 40 + sum(rows[-40:])
    assert max(page["rowsRead"] for page in found) < most
    assert len(found) > sum(rows) / most
    searched = times(found, "searchedFrom")
    assert searched == sorted(searched, reverse=True)
    assert found[-1]["searchedFrom"] == "1970-01-01T00:00:00Z"


def test_rows_that_arrive_between_pages_change_none_of_them(client, sent):
    random, everyone, names = Random(11), list(sent), count()

    def arrive():
        more = some_predictions(random, 10, name=f"new{next(names)}")
        verdict(predict(client, *(one.row() for one in more)))
        everyone.extend(more)
        learn(client, random, everyone, 0.1)

    for query in ({}, {"wrong": "true"}, {"unlabelled": "true"}):
        wanted = all_of(everyone, query)
        found = list(pages(client, arrive, **query, limit=40))

        assert sorted(map(shown, listed(found)), key=repr) == wanted, query
        assert len({page["asOf"] for page in found}) == 1
        assert len(found) > 2


def test_as_of_lists_what_was_known(client, sent):
    query = {"wrong": "true", "limit": "1000"}
    wanted = all_of(sent, {"wrong": "true"})
    moment = asked(client)["asOf"]
    learn(client, Random(3), sent, 0.9)
    verdict(predict(client, prediction(requestId="later", label="a")))

    assert sorted(map(shown, asked(client, **query, asOf=moment)["requests"]), key=repr) == wanted
    assert all_of(sent, {"wrong": "true"}) != wanted
    assert len(asked(client, limit=1000)["requests"]) == len(sent) + 1
    assert len(asked(client, limit=1000, asOf=moment)["requests"]) == len(sent)


def test_the_newest_are_first_and_those_of_one_time_by_receipt(client):
    for id_ in "abc":
        verdict(predict(client, prediction(requestId=id_, label="x")))
    verdict(
        predict(client, prediction(requestId="older", label="x") | {"time": "2025-02-25T11:51:21Z"})
    )

    assert [request["requestId"] for request in asked(client)["requests"]] == [
        "c",
        "b",
        "a",
        "older",
    ]


def test_each_detection_is_listed(client):
    found = [{"label": label, "confidence": 0.5} for label in ("cat", "cat", "dog")]
    verdict(predict(client, prediction(requestId="d", detections=found)))

    assert [r["predictedLabel"] for r in listed(pages(client, limit=1))].count("cat") == 2
    assert len(list(pages(client, limit=1))) == 3
    assert asked(client, predictedLabel="dog")["requests"][0]["requestId"] == "d"


def test_values_are_listed_by_error(client):
    pairs = {"x": (1.5, 1.0), "y": (2.0, 5.0), "z": (3.0, None), "w": (-4.0, -4.25)}
    verdict(predict(client, *(prediction(requestId=id_, value=p) for id_, (p, _) in pairs.items())))
    verdict(tell(client, *(truth(i, value=a) for i, (_, a) in pairs.items() if a is not None)))

    for least, ids in ((0, "wxy"), (0.25, "wxy"), (0.5, "xy"), (3, "y"), (3.0000001, "")):
        found = asked(client, minError=least)["requests"]
        assert sorted(request["requestId"] for request in found) == list(ids), least
    (request,) = asked(client, minError=3)["requests"]
    assert (request["predictedValue"], request["actualValue"], request["wrong"]) == (2.0, 5.0, None)


def test_a_query_that_nothing_can_meet_is_refused(client, sent):
    for query, detail in (
        (
            {"unlabelled": "true", "wrong": "true"},
            "wrong needs a truth, and unlabelled requests have none",
        ),
        (
            {"unlabelled": "true", "actualLabel": "a"},
            "actualLabel needs a truth, and unlabelled requests have none",
        ),
        ({"failed": "true", "wrong": "false"}, "failed requests have no truths"),
        (
            {"minConfidence": "0.5", "maxConfidence": "0.4"},
            "minConfidence must be at most maxConfidence",
        ),
        ({"minError": "1"}, "minError is of regressors; classifiers have wrong=true"),
        ({"startTime": "2025-01-02T00:00:00Z", "endTime": "2025-01-02T00:00:00Z"}, None),
    ):
        answer = asked(client, 400, **query)
        assert detail in (answer["detail"], None), query


def test_invalid_parameters_are_named(client, sent):
    for query, detail in (
        ({"limit": 0}, "limit must be greater than or equal to 1 and less than or equal to 1000"),
        ({"wrong": "maybe"}, "wrong must be true or false"),
        ({"cursor": "x"}, "cursor must be a nextCursor"),
        ({"cursor": "WzFd"}, "cursor must be a nextCursor"),
        ({"minConfidence": "2"}, "minConfidence must be greater than or equal to 0 and"),
        ({"minConfidence": "nan"}, "minConfidence special numeric values"),
        ({"nonsense": "1"}, "nonsense is not a parameter"),
    ):
        assert asked(client, 422, **query)["detail"].startswith(detail), query


def test_classes_are_not_asked_of_a_regressor(client):
    verdict(predict(client, prediction(requestId="v", value=1.0)))

    for name, value in (("wrong", "true"), ("predictedLabel", "a"), ("actualLabel", "a")):
        detail = asked(client, 400, **{name: value})["detail"]
        assert detail == "predictedLabel, actualLabel and wrong are of classifiers"


def test_an_unknown_model_or_part_is_not_found(client, sent):
    assert asked(client, 404, model="none")["detail"].startswith("no predictions or subscription")
    assert asked(client, 404, version="9")["detail"].startswith("no predictions of model")


def test_a_model_without_predictions_has_an_empty_page(client):
    verdict(tell(client, truth("waits", label="a")))

    page = asked(client)
    assert (page["requests"], page["nextCursor"], page["rowsRead"]) == ([], None, 0)


SQL_ROWS = """
    SELECT request_id, time, version, deployment, predicted_label, confidence, failed,
           actual_label, predicted_label <> actual_label, n_truths > 1, model, learned_at
    FROM {source} ORDER BY time
"""
FUNCTION = "truthline.requests(:workspace, :start, :end, model => 'fraud', as_of => :as_of)"
NEWEST = """truthline.newest_requests(
    :workspace, 'fraud', :start, :end, wrong => true, predicted_label => 'a', max_confidence => 0.8,
    size => 1000, as_of => :as_of)
"""
VIEW = """
    truthline.requests WHERE workspace = :workspace AND model = 'fraud'
    AND time >= :start AND time < :end
"""


def in_sql(database, workspace, source, query, as_of="infinity"):
    asked = {"workspace": workspace.name, "as_of": as_of}
    asked |= {"start": query["startTime"], "end": query["endTime"]}
    with database.reading() as conn:
        rows = conn.execute(text(SQL_ROWS.format(source=source)), asked).all()
    assert all((row.learned_at is None) == (row.actual_label is None) for row in rows)
    return sorted(
        ((row[0], row[1].isoformat().replace("+00:00", "Z"), *row[2:10]) for row in rows), key=repr
    )


def test_sql_shows_the_same(client, sent, database, workspace):
    query = EVERYTHING["window"]
    wanted, moment = all_of(sent, query), asked(client)["asOf"]

    assert in_sql(database, workspace, FUNCTION, query) == wanted
    assert in_sql(database, workspace, VIEW, query) == wanted
    assert in_sql(database, workspace, NEWEST, query) == all_of(
        sent, query | {"wrong": "true", "predictedLabel": "a", "maxConfidence": "0.8"}
    )
    learn(client, Random(5), sent, 0.5)
    assert in_sql(database, workspace, FUNCTION, query) == all_of(sent, query) != wanted
    assert in_sql(database, workspace, FUNCTION, query, moment) == wanted


# --- the history of one ---------------------------------------------------------------------


def history(client, id_, status=200, **query):
    answer = client.get(f"{PATH}/{id_}", query_string=query)
    assert answer.status_code == status, answer.text
    return answer.json


def test_a_history_has_every_truth_with_when_it_was_learned(client, sent):
    for one in sent:
        if one.id is None:
            continue
        found = history(client, one.id)
        (made,) = found["predictions"]
        assert shown(made | {"requestId": found["requestId"]}) == expected(one)
        truths = made["truths"]
        assert tuple(truth["label"] for truth in truths) == one.truths
        learned = times(truths, "learnedAt")
        assert learned == sorted(learned)
        # each is replaced when the next one is learned, within that statement
        assert [truth["replacedAt"] is None for truth in truths] == [
            *[False] * (len(truths) - 1),
            *[True] * bool(truths),
        ]
        replaced = times(truths[:-1], "replacedAt")
        assert all(old <= new for old, new in zip(replaced, learned[1:], strict=True))
        assert made["learnedAt"] == (truths[-1]["learnedAt"] if truths else None)


def test_a_history_has_every_version_and_model(client):
    verdict(predict(client, *(prediction(requestId="r", version=v, label=v) for v in ("1", "2"))))
    verdict(predict(client, prediction(requestId="r", label="x") | {"model": "other"}))
    verdict(predict(client, prediction(requestId="r", label="1", batchIndex=1)))
    verdict(tell(client, truth("r", label="2")))

    found = history(client, "r")["predictions"]
    assert {(p["model"], p["version"], p["batchIndex"], p["wrong"]) for p in found} == {
        ("fraud", "1", 0, True),
        ("fraud", "2", 0, False),
        ("fraud", "", 1, None),
        ("other", "", 0, None),
    }
    assert {p["model"] for p in history(client, "r", model="fraud")["predictions"]} == {"fraud"}
    assert len(history(client, "r", model="other", namespace="shop")["predictions"]) == 1
    history(client, "r", 404, namespace="elsewhere")


def test_a_failed_attempt_and_its_retry_are_both_in_the_history(client):
    verdict(predict(client, prediction(requestId="r", error=True, label="a")))
    verdict(predict(client, prediction(requestId="r", label="a")))
    verdict(tell(client, truth("r", label="b")))

    found = history(client, "r")["predictions"]
    assert sorted((p["failed"], p["wrong"], len(p["truths"])) for p in found if p["failed"]) == [
        (True, None, 0)
    ]
    assert [(p["actualLabel"], p["learnedAt"]) for p in found if p["failed"]] == [(None, None)]
    assert [(p["failed"], p["wrong"], len(p["truths"])) for p in found if not p["failed"]] == [
        (False, True, 1)
    ]


def test_a_truth_that_waits_is_in_the_history(client):
    verdict(tell(client, truth("early", label="a")))

    found = history(client, "early")
    assert found["predictions"] == []
    ((waits),) = found["pending"]
    assert (waits["model"], waits["label"], waits["value"]) == ("fraud", "a", None)
    verdict(predict(client, prediction(requestId="early", label="a")))
    found = history(client, "early")
    assert found["pending"] == []
    assert [truth["label"] for truth in found["predictions"][0]["truths"]] == ["a"]


def test_a_request_id_may_have_any_characters(client):
    for id_ in ("a/b", "ä €", "100%", "/x/", "a?b"):
        verdict(predict(client, prediction(requestId=id_, label="a")))
        answer = client.get(f"{PATH}/{quote(id_, safe='')}")
        assert answer.json["requestId"] == id_


def test_an_unknown_request_is_not_found(client, sent):
    problem = history(client, "never", 404)

    assert problem["detail"] == "no request never"
    assert problem["type"].endswith("UnknownRequest")
    history(client, "x" * 201, 400)


def test_a_neighbour_sees_no_request(client, neighbour, sent):
    history(neighbour, sent[1].id or sent[2].id, 404)
    assert neighbour.get(PATH, query_string=MODEL).status_code == 404
