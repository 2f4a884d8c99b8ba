"""A client newer or older than its server: fields unknown to one of them cause no error."""

import copy
import dataclasses
import json
import math

import httpx
import pytest
import truthline
from sqlalchemy import text
from truthline import Client, NotTruthline

from docs.pictures.scenes import DAY, HOUR, PRICES, RETURNS
from tests.client.test_questions import TODAY

LONG_AGO = DAY - 1000 * HOUR  # before the windows of other questions


MONITOR = {
    "model": RETURNS["model"],
    "metric": "accuracy",
    "window": "1h",
    "compare": {"with": "reference", "startTime": LONG_AGO, "endTime": LONG_AGO + HOUR},
    "rule": {"is": "below"},
    "notify": ["ops"],
}


@pytest.fixture(scope="module", autouse=True)
def judged(scenes, database):
    """A monitor with a verdict that revises one, and a receiver that can't be reached."""
    scenes.put_receiver("ops", "webhook", "http://127.0.0.1:1/hook")
    scenes.put_monitor("returns", MONITOR)
    with database.writing() as conn:
        conn.execute(JUDGED, {"end": DAY, "start": DAY - HOUR, "as_of": DAY + HOUR})


JUDGED = text("""
    WITH found AS (
        INSERT INTO verdict (monitor_id, part, window_start, window_end, as_of, value, low, high,
                             baseline, n, revision, state, reason, revised_as_of, revised_state,
                             revised_value, learned)
        SELECT monitor.id, '', :start, :end, :as_of, 0.7, 0.6, 0.8, 0.9, 50, 1, 'critical',
               'the limit is crossed', :end, 'ok', 0.9, 7
        FROM monitor JOIN workspace ON workspace.id = workspace_id AND workspace.name = 'scenes'
        RETURNING monitor_id, part, window_end, as_of, state
    )
    INSERT INTO monitor_part (monitor_id, part, window_end, as_of, state, since, told)
    SELECT monitor_id, part, window_end, as_of, state, window_end, state FROM found
""")


@pytest.fixture(scope="module", autouse=True)
def corrected(scenes):
    """A request with two truths, and a truth that waits."""
    row = {**PRICES, "request_id": "corrected"}
    scenes.send_predictions([{**row, "value": 2.0, "time": LONG_AGO}])
    for index, value in ((0, 1.5), (0, 2.5), (1, 3.5)):
        scenes.send_feedback([{**row, "value": value, "batch_index": index}])
    told = {"model": "scored", "request_id": "scored"}
    scenes.send_predictions([{**told, "scores": {"no": 0.25, "yes": 0.75}, "time": LONG_AGO}])
    scenes.send_feedback([{**told, "label": "no"}])


HALVES = {**TODAY, "interval": 12 * HOUR, "confidence": 0.9}
YESTERDAY = {"start": DAY - 24 * HOUR, "end": DAY}
QUESTIONS = {
    "classification": lambda c: c.classification_metrics(**RETURNS, **HALVES),
    "regression": lambda c: c.regression_metrics(**PRICES, **HALVES),
    "comparison": lambda c: c.compare(**PRICES, a=TODAY, b=YESTERDAY),
    "drift": lambda c: c.drift(**PRICES, of="value", a=TODAY, b=YESTERDAY),
    "drift of labels": lambda c: c.drift(**RETURNS, of="predicted_label", a=TODAY, b=YESTERDAY),
    "changes": lambda c: c.changes(**RETURNS, a=TODAY, b=YESTERDAY),
    "scores": lambda c: c.score_metrics(**RETURNS, **HALVES),
    "label delay": lambda c: c.label_delay(**RETURNS, **TODAY, interval=12 * HOUR),
    "corrected accuracy": lambda c: c.corrected_accuracy(**RETURNS, **TODAY, interval=12 * HOUR),
    "score curves": lambda c: c.score_curves("scored", start=LONG_AGO, end=LONG_AGO + HOUR),
    "inference stats": lambda c: c.inference_stats(**TODAY, confidence=0.9),
    "models": lambda c: c.models(**TODAY),
    "requests": lambda c: next(c.requests(**RETURNS, **TODAY, wrong=True, page_size=2).pages()),
    "a request": lambda c: c.request("corrected"),
    "health of a regressor": lambda c: c.health("homes-eu", **TODAY),
    "health of a classifier": lambda c: c.health("shop-eu", **TODAY),
    "monitors": lambda c: c.monitors(),
    "a monitor": lambda c: c.monitor("returns"),
    "verdicts": lambda c: c.monitor_history("returns", limit=1),
    "receivers": lambda c: c.receivers(),
    "a new receiver": lambda c: c.put_receiver("new", "webhook", "http://127.0.0.1:1/new"),
    "a test": lambda c: c.test_monitor("returns"),
    "a table": lambda c: c.send_feedback([{**PRICES, "request_id": "early", "value": 1.5}]),
}
# What no server returns: computed by the client, or taken from the query.
OURS = {"Backoff", "ConfusionMatrix", "Counts", "Limits", "RowProblem", "Stats", "Subject"}
# tests/client/test_tags.py reads answers with these.
OF_TAGS = {name for name in vars(truthline) if name.endswith(("Group", "Remainder"))}
OUR_FIELDS = {"subject", "time_zone", "average", "deployment"}
RESULTS = {
    name: kind
    for name, kind in vars(truthline).items()
    if dataclasses.is_dataclass(kind) and name not in OURS
}
H2O_TODAY = dict(
    zip(
        ("startDateTime", "endDateTime"), (time.isoformat() for time in TODAY.values()), strict=True
    )
)
OPEN = {"tags", "definition"}  # their members are the user's
PAGING = {"total", "nextCursor"}  # the client follows the pages itself
# Without these there is nothing to make a table of.
SKELETON = {
    "buckets",
    "points",
    "models",
    "predictions",
    "bin",
    "startTime",
    "endTime",
    "xMin",
    "xMax",
}


class Listening(httpx.HTTPTransport):
    """Keeps the answers to requests by their path."""

    def __init__(self):
        super().__init__()
        self.heard = {}

    def handle_request(self, request):
        answer = super().handle_request(request)
        answer.read()
        if answer.is_success:
            self.heard[request.url.path] = answer.json()
        return answer


@pytest.fixture(scope="module", params=QUESTIONS)
def asked(request, scenes):
    """A query, and the server's response to it, by path."""
    network = Listening()
    key = scenes._session._http.auth._source
    with Client(scenes._session.url, key, transport=network) as client:
        QUESTIONS[request.param](client)
    for answer in network.heard.values():
        if answer.get("snapped") == []:  # retention has dropped nothing
            moved = ("2026-03-02T00:00:01Z", "2026-03-02T00:00:00Z")
            edge = dict(zip(("asked", "answered"), moved, strict=True))
            answer["snapped"] = [edge | {"subject": "outcome"}]
    return QUESTIONS[request.param], network.heard


def answered(question, answers):
    """What the client makes of these answers."""

    def handle(request):
        return httpx.Response(200, content=json.dumps(answers[request.url.path]))

    with Client("http://truthline", transport=httpx.MockTransport(handle)) as client:
        return question(client)


def members(answer, way=()):
    """The way to each member of JSON, the same for all items of a list."""
    found = set()
    if isinstance(answer, dict):
        for name, value in answer.items():
            inside = set() if name in OPEN else members(value, (*way, name))
            found |= {(*way, name)} | inside
    elif isinstance(answer, list):
        for item in answer:
            found |= members(item, way)
    return found


def objects(answer, way):
    """The objects at the end of a way."""
    if isinstance(answer, list):
        for item in answer:
            yield from objects(item, way)
    elif way and isinstance(answer, dict):
        yield from objects(answer.get(way[0]), way[1:])
    elif isinstance(answer, dict):
        yield answer


def changed(answers, way, change):
    """A copy, with `change` done to the objects that hold a member, which it gets the name of."""
    path, *inside, name = way
    answers = copy.deepcopy(answers)
    for holder in objects(answers[path], inside):
        change(holder, name)
    return answers


def kinds(result):
    """The dataclasses of a result and of all within it."""
    if isinstance(result, tuple):
        return set().union(*map(kinds, result))
    if dataclasses.is_dataclass(result):
        inside = map(kinds, vars(result).values())
        return {type(result).__name__}.union(*inside)
    return set()


def test_what_an_older_server_does_not_know_is_none(asked):
    question, answers = asked
    whole = answered(question, answers)
    ways = {(path, *way) for path, answer in answers.items() for way in members(answer)}
    for way in sorted(ways):
        if set(answers[way[0]]) == {way[-1]}:
            continue  # an answer without any of its members is none
        result = answered(question, changed(answers, way, lambda holder, name: holder.pop(name)))
        silent = changed(answers, way, lambda holder, name: holder.update({name: None}))
        assert result == answered(question, silent), way
        # H2O's answers have members that this package has no use for
        unused = "model-monitoring" in way[0] or way[-1] in PAGING
        assert result != whole or silent == answers or unused, way
        if hasattr(whole, "to_pandas") and way[-1] not in SKELETON:
            result.to_pandas()
            if hasattr(whole, "plot"):
                result.plot()


def test_a_measure_that_is_not_known_is_not_drawn(scenes):
    stats = dataclasses.replace(scenes.inference_stats(**TODAY).models[0], error_rate=None)
    answer = dataclasses.replace(scenes.inference_stats(**TODAY), models=(stats,))

    assert math.isnan(answer.to_pandas().loc[(*RETURNS.values(), "error_rate"), "now"])
    drawn = {trace.x for trace in answer.plot().data if trace.xaxis == "x2"}
    assert drawn == {(None,)}


def test_failures_without_their_moment_are_unknown_not_zero(scenes):
    health = scenes.health("shop-eu", **TODAY)
    assert sum(bucket.failures for bucket in health.buckets) == 6
    path = "/model-monitoring/v1/deployment/shop-eu/metrics/-/"
    said = {
        path + "health": scenes._session.get(path + "health", H2O_TODAY),
        path + "operational": scenes._session.get(path + "operational", H2O_TODAY),
    }
    for way in (("failedPrediction",), ("failedPrediction", "point", "xAxis")):
        less = changed(said, (path + "operational", *way), lambda holder, name: holder.pop(name))
        buckets = answered(QUESTIONS["health of a classifier"], less).buckets
        assert [bucket.failures for bucket in buckets] == [None] * 10


def test_what_an_older_client_does_not_know_is_ignored(asked):
    question, answers = asked

    def add(answer):
        if isinstance(answer, dict):
            new = {"aMemberToCome": {"p50": [1, None]}, "subject": "of another kind"}
            return new | {
                name: value if name in OPEN else add(value) for name, value in answer.items()
            }
        return [add(item) for item in answer] if isinstance(answer, list) else answer

    more = {path: add(answer) for path, answer in answers.items()}
    assert answered(question, more) == answered(question, answers)


def test_an_answer_with_none_of_its_members_is_something_else(asked):
    question, answers = asked
    for other in ({}, {"status": "ok"}, [], None, "ok", 3):
        with pytest.raises(NotTruthline):
            answered(question, dict.fromkeys(answers, other))


def test_every_result_is_walked_here(scenes):
    walked = set()
    for question in QUESTIONS.values():
        walked |= kinds(question(scenes))

    assert walked - OURS == set(RESULTS) - {"Snapped", "Bucket"} - OF_TAGS


@pytest.mark.parametrize("name", RESULTS)
def test_fields_of_results_have_defaults(name):
    """So that a field to come breaks neither an older server's answer nor who makes a result."""
    without = [
        field.name
        for field in dataclasses.fields(RESULTS[name])
        if field.default is dataclasses.MISSING
    ]

    assert set(without) <= OUR_FIELDS
