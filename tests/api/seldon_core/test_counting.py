"""Seldon Core v1's metrics server: the vendor's counting, row by row, and what it exposes."""

import re
from concurrent.futures import ThreadPoolExecutor
from math import inf

import numpy as np
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from app.rollup.event_totals import fold_event_counts
from tests.api.events_given import SEED, configured, counted, feedback, samples, send
from tests.api.given import keyed_client

ONE_HOT = "adserver.cm_models.multiclass_one_hot.MulticlassOneHot"
NUMERIC = "adserver.cm_models.multiclass_numeric.MultiClassNumeric"
BINARY = "adserver.cm_models.binary_metrics.BinaryMetrics"
KINDS = (ONE_HOT, NUMERIC, BINARY)


def right(truth, response=None):
    return {"true_positive": {truth: 1}, "true_negative": {response or truth: 1}}


def wrong(truth, response):
    return {"false_negative": {truth: 1}, "false_positive": {response: 1}}


# Class, response, truth, and what they add: the observed behaviour of the vendor's classes.
TABLE = [
    (ONE_HOT, [[0.0007, 0.0037, 0.9956]], [[0, 0, 1]], right("CLASS_2")),
    (ONE_HOT, [[0.7, 0.2, 0.1]], [[0, 1, 0]], wrong("CLASS_1", "CLASS_0")),
    (ONE_HOT, [0.1, 0.9], [0, 1], right("CLASS_1")),
    (ONE_HOT, [0.1, 0.9], [[1, 0]], wrong("CLASS_0", "CLASS_1")),
    (ONE_HOT, [[0.4, 0.4, 0.2]], [[1, 0, 0]], right("CLASS_0")),  # ties: the lowest
    (ONE_HOT, [[1, 0], [0, 1]], [[1, 0], [1, 0]], right("CLASS_0")),  # only the first row
    (ONE_HOT, [[True, False]], [[0, 1]], wrong("CLASS_1", "CLASS_0")),
    (NUMERIC, [7], [7], right("CLASS_7")),
    (NUMERIC, [7], [7.0], right("CLASS_7.0", "CLASS_7")),
    (NUMERIC, [7.0], [7], right("CLASS_7", "CLASS_7.0")),
    (NUMERIC, [1, 2], [2, 2], wrong("CLASS_2", "CLASS_1")),
    (NUMERIC, [True], [1], right("CLASS_1", "CLASS_True")),
    (NUMERIC, ["a"], ["a"], right("CLASS_a")),
    (NUMERIC, ["a"], ["b"], wrong("CLASS_b", "CLASS_a")),
    (NUMERIC, [[7]], [[7]], right("CLASS_[7]")),
    (NUMERIC, [[7.5]], [[7]], wrong("CLASS_[7]", "CLASS_[7.5]")),
    (BINARY, [1], [1], {"true_positive": {None: 1}}),
    (BINARY, [0], [1], {"false_negative": {None: 1}}),
    (BINARY, [0], [0], {"true_negative": {None: 1}}),
    (BINARY, [1], [0], {"false_positive": {None: 1}}),
    (BINARY, [0.9], [0], {"true_negative": {None: 1}}),  # cut, not rounded
    (BINARY, [2], [2], {"true_positive": {None: 1}}),  # whatever isn't 0
    (BINARY, [1], [2], {"false_negative": {None: 1}}),
    (BINARY, [[1]], [[1]], {"true_positive": {None: 1}}),
]


@pytest.fixture(scope="module")
def app_of_each_class(app, database, tmp_path_factory):
    kinds = [{"name": kind.rpartition(".")[2], "storage_uri": kind} for kind in KINDS]
    return configured(app, database, tmp_path_factory.mktemp("servers"), *kinds)


@pytest.mark.parametrize(("kind", "response", "truth", "expected"), TABLE)
def test_each_class_counts_as_the_vendors(
    app_of_each_class, workspace, kind, response, truth, expected
):
    client = keyed_client(app_of_each_class, workspace.admin_key)
    deployment = kind.rpartition(".")[2]
    answer = send(client, feedback(response, truth), inferenceservicename=deployment)

    assert answer.status_code == 200
    assert counted(client) == expected


@pytest.mark.parametrize("value", [7.0, 7.5, -3.0, 0.0, 0.25, 1e15, 123456.789, 1 / 3, 2e-5, 1.5e8])
def test_a_label_in_a_row_of_its_own_is_printed_as_numpy_prints_it(client, value):
    send(client, feedback([[value]], [[value]]))

    assert counted(client)["true_positive"] == {f"CLASS_{np.array([value])}": 1}


@pytest.mark.parametrize(
    ("response", "truth", "expected"),
    [
        ([[0.1, 0.9]], [[0, 1]], right("CLASS_1")),
        ([3], [3], right("CLASS_3")),
        ([[3]], [[4]], wrong("CLASS_[4]", "CLASS_[3]")),
    ],
)
def test_where_nobody_chose_a_class_the_shape_does(client, response, truth, expected):
    assert send(client, feedback(response, truth)).status_code == 200
    assert counted(client) == expected


ARRAYS = [
    {"ndarray": [[0.1, 0.9]]},
    {"tensor": {"shape": [1, 2], "values": [0.1, 0.9]}},
    {"tftensor": {"tensorShape": {"dim": [{"size": "1"}, {"size": "2"}]}, "floatVal": [0.1, 0.9]}},
    {"tftensor": {"tensorShape": {"dim": [{"size": 1}, {"size": 2}]}, "int64Val": ["0", "1"]}},
]


@pytest.mark.parametrize("data", ARRAYS)
def test_arrays_in_every_form(client, data):
    assert send(client, {"response": {"data": data}, "truth": {"data": data}}).status_code == 200
    assert counted(client) == right("CLASS_1")


def test_the_numbers_of_a_tensor_are_floats(client):
    tensor = {"data": {"tensor": {"shape": [1], "values": [7]}}}
    send(client, {"response": tensor, "truth": tensor})

    assert counted(client) == right("CLASS_7.0")


# --- the reply ------------------------------------------------------------------------------


def test_the_reply_echoes_what_came(client):
    answer = send(client, SEED, "e1", protocol="seldon")

    assert (answer.status_code, answer.json) == (200, {})
    assert answer.content_type == "application/json"
    said = {name: value for name, value in answer.headers if name.startswith("ce-")}
    assert said.pop("ce-time") != "2026-03-01T10:00:00Z"  # its own
    assert said == {
        "ce-specversion": "1.0",
        "ce-id": "e1",
        "ce-type": "io.seldon.serving.feedback.metrics",
        "ce-source": "io.seldon.serving.feedback",
        "ce-requestid": "r1",
        "ce-modelid": "classifier",
        "ce-inferenceservicename": "multiclass-model",
        "ce-namespace": "default",
        "ce-endpoint": "main",
        "ce-protocol": "seldon",
    }


def test_twice_delivered_counts_once_and_is_replied_to(client):
    answers = [send(client) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert counted(client) == right("CLASS_2")


def test_the_same_id_from_another_source_is_another_event(client):
    send(client)
    send(client, source="http://elsewhere:8000/")

    assert counted(client)["true_positive"] == {"CLASS_2": 2}


# --- what is exposed ------------------------------------------------------------------------


def test_labels_are_the_vendors(app, database, workspace, tmp_path):
    server = {
        "name": "multiclass-model",
        "image": "registry:5000/alibi-detect-server:1.3.0-dev",
        "predictor_version": "v2",
        "event_type": "io.seldon.serving.feedback.metrics",
    }
    client = keyed_client(configured(app, database, tmp_path, server), workspace.admin_key)
    send(client)
    line = next(
        line
        for line in client.get("/v1/metrics").text.splitlines()
        if line.startswith("seldon_metric_true_positive_total")
    ).partition("{")[2]
    line, value = line.split("} ")

    assert value == "1.0"
    assert line.split(",") == [
        'class="CLASS_2"',
        'deployment_name="multiclass-model"',
        'image_name="registry:5000/alibi-detect-server"',
        'image_version="1.3.0-dev"',
        'method="io.seldon.serving.feedback.metrics"',
        'model_image="registry:5000/alibi-detect-server"',
        'model_name="classifier"',
        'model_version="1.3.0-dev"',
        'predictor_name="main"',
        'predictor_version="v2"',
        'seldon_deployment_name="multiclass-model"',
        'seldon_deployment_namespace="default"',
        'worker_id="truthline"',
    ]


def test_absent_attributes_become_not_implemented(client):
    nobody = dict.fromkeys(("modelid", "inferenceservicename", "namespace", "endpoint"))
    assert send(client, **nobody).status_code == 200
    ((_, *said), *_) = samples(client, "model_name", "deployment_name", "predictor_name")

    assert set(said) == {"NOT_IMPLEMENTED"}


def given_every_type(client):
    own = [
        {"key": "orders", "type": "COUNTER", "value": 2.5, "tags": {"shop": 'a"b'}},
        {"key": "temperature", "type": "GAUGE", "value": -3},
        {"key": "thinking", "type": "TIMER", "value": 20},
    ]
    send(client, feedback([1], [2], metrics=own), "1")
    own[1]["value"] = 4
    own[2]["value"] = 100_000
    send(client, feedback([1], [1], metrics=own), "2")


def test_metrics_of_the_senders_own(client):
    given_every_type(client)
    found = samples(client, "shop", "le")

    assert found["orders_total", 'a"b', None] == 5
    assert found["temperature", None, None] == 4
    assert found["thinking_count", None, None] == 2
    assert found["thinking_sum", None, None] == 100.02
    assert found["thinking_bucket", None, "+Inf"] == 2
    bounds = {float(le): n for (name, _, le), n in found.items() if name == "thinking_bucket"}
    assert {bound: n for bound, n in bounds.items() if n != (bound >= 0.02)} == {inf: 2}


def test_a_timers_bounds_are_the_vendors(client):
    given_every_type(client)
    bounds = [float(le) for (name, le) in samples(client, "le") if name == "thinking_bucket"]

    # numpy's last digit is the processor's
    assert bounds == pytest.approx([*np.logspace(-3, np.log10(30), 50), inf], rel=1e-12)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics"),
        ("application/openmetrics-text;version=0.0.1;q=0.3,text/plain;q=0.5", "text/plain"),
        ("text/plain;version=nonsense;q=x", "text/plain; version=0.0.4"),
    ],
)
def test_every_family_is_exposed_once_in_either_form(client, accept, expected):
    given_every_type(client)
    answer = client.get("/v1/metrics", headers={"Accept": accept} if accept else {})

    assert answer.content_type.startswith(expected)
    open_ = answer.content_type.startswith("application/openmetrics-text")
    read = read_openmetrics if open_ else text_string_to_metric_families
    assert len({family.name for family in read(answer.text)}) == 7
    types = re.findall(r"^# TYPE (\S+)", answer.text, re.MULTILINE)
    assert len(types) == len(set(types)) == 7
    assert answer.text.endswith("# EOF\n") == open_


INVALID = [
    {"key": "a", "type": "COUNTER"},
    {"key": "a", "value": 1},
    {"type": "COUNTER", "value": 1},
    {"key": "a", "type": "SUMMARY", "value": 1},
    {"key": "a", "type": "COUNTER", "value": "1"},
    {"key": "a", "type": "COUNTER", "value": -1},
    {"key": "a", "type": "TIMER", "value": -1},
    {"key": "a b", "type": "COUNTER", "value": 1},
    {"key": "a", "type": "COUNTER", "value": 1, "tags": {"a-b": "c"}},
    {"key": "a", "type": "TIMER", "value": 1, "tags": {"le": "c"}},
    {"key": "a", "type": "COUNTER", "value": 1, "tags": {"a": "\0"}},
    {"key": "a_sum", "type": "TIMER", "value": 1},
    "a",
]


@pytest.mark.parametrize("invalid", INVALID)
def test_of_metrics_with_an_invalid_one_none_is_kept(client, invalid):
    valid = {"key": "valid", "type": "COUNTER", "value": 1}
    answer = send(client, feedback([1], [1], metrics=[valid, invalid]))

    assert answer.status_code == 200
    assert counted(client) == right("CLASS_1")


def test_a_name_stands_for_one_type(client):
    """Or no scraper could read either."""
    for id_, type_ in enumerate(("COUNTER", "GAUGE", "TIMER", "COUNTER")):
        own = [{"key": "a_count" if type_ == "TIMER" else "a", "type": type_, "value": 1}]
        assert send(client, feedback([1], [1], metrics=own), str(id_)).status_code == 200

    assert samples(client)["a_total",] == 2
    assert [name for (name,) in samples(client) if name.startswith("a")] == ["a_total"]


def test_a_fold_changes_no_answer(client, database):
    given_every_type(client)
    before = client.get("/v1/metrics").text
    with database.writing() as conn:
        assert fold_event_counts(conn) >= 9
    assert client.get("/v1/metrics").text == before

    send(client, feedback([1], [2], metrics=[{"key": "temperature", "type": "GAUGE", "value": 7}]))
    send(client, feedback([1], [2]), "3")
    assert samples(client)["temperature",] == 4  # the event of that id was taken before
    assert counted(client)["false_negative"] == {"CLASS_2": 2}


def test_a_counter_never_falls_while_it_is_folded(client, database):
    """Tenths add up to what depends on their order, in doubles."""
    seen = []

    def look(number):
        send(
            client,
            feedback(
                [1],
                [1],
                metrics=[{"key": "tenths", "type": "COUNTER", "value": 0.1 * (number % 7 + 1)}],
            ),
            str(number),
        )
        if number % 3 == 0:
            with database.writing() as conn:
                fold_event_counts(conn)
        seen.append(samples(client)["tenths_total",])

    for number in range(40):
        look(number)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(sum(0.1 * (n % 7 + 1) for n in range(40)), rel=1e-15)


def test_the_protocol(app):
    answer = app.test_client().get("/protocol")

    assert (answer.status_code, answer.text) == (200, "seldonfeedback.http")
    assert answer.content_type.startswith("text/plain")


def test_a_neighbour_sees_none_of_it(client, neighbour):
    send(client)

    assert neighbour.get("/v1/metrics").text == ""


def test_deliveries_that_race_count_once(client):
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda n: send(client, SEED, str(n % 5)).status_code, range(40)))
    assert statuses == [200] * 40
    assert counted(client)["true_positive"] == {"CLASS_2": 5}
