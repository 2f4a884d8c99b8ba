"""Step metrics, compared with Craft's own SDK on the same server."""

import threading
import warnings

import httpx
import numpy as np
import pytest
from craft_ai_sdk import CraftAiSdk
from truthline import Client, InvalidRequest, Refused

from tests.client.conftest import SOON
from tests.client.networks import Fate, Unreliable


@pytest.fixture
def sdk(url, workspace):
    return CraftAiSdk(
        sdk_token=workspace.admin_key, environment_url=url, control_url=url, verbose_log=False
    )


def test_what_is_recorded_is_what_crafts_sdk_reads(truthline, sdk):
    with truthline.execution("exec-1"):
        assert truthline.record_metric_value("loss", 0.5)
        assert truthline.record_metric_value("loss", np.float32(0.25))
        assert truthline.record_list_metric_values("loss", [1, 0.5])
        assert truthline.record_list_metric_values("loss", np.array([0.25]))
        assert truthline.record_list_metric_values("loss", 0.125)

    (single,) = truthline.get_metrics(name="loss")
    assert (single["value"], single["execution_id"]) == (0.25, "exec-1")
    (listed,) = truthline.get_list_metrics(execution_id="exec-1")
    assert listed["values"] == [1, 0.5, 0.25, 0.125]
    assert sdk.get_metrics() == [single]
    assert sdk.get_list_metrics() == [listed]


@pytest.mark.parametrize("name", ["a/b", "très bien", "50%25", "x?y=1#z", ".", "..", "a;b&c"])
def test_names_of_every_kind(truthline, name):
    with truthline.execution("exec/1"):
        truthline.record_metric_value(name, 1.5)
        truthline.record_list_metric_values(name, [2.5])

    (single,), (listed,) = truthline.get_metrics(name=name), truthline.get_list_metrics(name=name)
    assert (single["name"], single["value"], single["execution_id"]) == (name, 1.5, "exec/1")
    assert (listed["name"], listed["values"]) == (name, [2.5])


def test_outside_of_an_execution_nothing_is_sent(truthline):
    with pytest.warns(UserWarning, match="outside of an execution") as caught:
        assert truthline.record_metric_value("loss", 1) is False
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="outside of an execution"):
        assert truthline.record_list_metric_values("loss", [1]) is False

    assert truthline.get_metrics() == truthline.get_list_metrics() == []


@pytest.mark.parametrize(
    ("variables", "execution"),
    [
        ({"CRAFT_AI_EXECUTION_ID": "craft"}, "craft"),
        ({"TRUTHLINE_EXECUTION_ID": "ours", "CRAFT_AI_EXECUTION_ID": "craft"}, "ours"),
    ],
)
def test_the_environment_names_the_execution(truthline, monkeypatch, variables, execution):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    truthline.record_metric_value("loss", 1)
    with truthline.execution("inner"):
        truthline.record_metric_value("loss", 2)

    found = {metric["execution_id"]: metric["value"] for metric in truthline.get_metrics()}
    assert found == {execution: 1, "inner": 2}


def test_executions_of_threads_are_their_own(truthline):
    barrier = threading.Barrier(2)

    def train(name):
        with truthline.execution(name):
            barrier.wait(10)
            truthline.record_metric_value("loss", len(name))

    threads = [threading.Thread(target=train, args=(name,)) for name in ("a", "bb")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = {metric["execution_id"]: metric["value"] for metric in truthline.get_metrics()}
    assert found == {"a": 1, "bb": 2}


def test_long_lists_and_their_limit(truthline):
    with truthline.execution("exec-1"):
        truthline.record_list_metric_values("loss", range(50_000))
        with pytest.raises(Refused, match=r"50.?000"):
            truthline.record_list_metric_values("loss", 1)
        assert truthline.record_list_metric_values("nothing", []) is True

    (listed,) = truthline.get_list_metrics()
    assert listed["values"] == list(range(50_000))


def test_filters_that_do_not_go_together(truthline):
    with pytest.raises(InvalidRequest, match="only one of"):
        truthline.get_metrics(pipeline_name="p", execution_id="e")


@pytest.mark.parametrize(
    ("value", "error"), [(float("nan"), ValueError), (10**400, ValueError), ("1", TypeError)]
)
def test_what_is_no_number_is_not_sent(truthline, value, error):
    with truthline.execution("exec-1"):
        with pytest.raises(error):
            truthline.record_metric_value("loss", value)
        with pytest.raises(error):
            truthline.record_list_metric_values("loss", [1, value])

    assert truthline.get_metrics() == truthline.get_list_metrics() == []


FAILING = [fate for fate in Fate if fate is not Fate.ARRIVES]


@pytest.mark.parametrize("fate", FAILING)
def test_what_may_have_arrived_is_sent_again_and_stored_once(url, workspace, fate):
    network = Unreliable([fate] * 3 + [Fate.ARRIVES] + [fate])
    with (
        Client(url, workspace.admin_key, transport=network, backoff=SOON) as client,
        client.execution("exec-1"),
    ):
        client.record_list_metric_values("loss", [1, 2])
        client.record_list_metric_values("loss", [1, 2])
        assert client.get_list_metrics()[0]["values"] == [1, 2, 1, 2]


def test_a_value_whose_answer_was_lost_is_recorded_once(url, workspace):
    network = Unreliable([Fate.ANSWER_LOST, Fate.ARRIVES])
    with (
        Client(url, workspace.admin_key, transport=network, backoff=SOON) as client,
        client.execution("exec-1"),
    ):
        client.record_metric_value("loss", 0.5)
        client.record_metric_value("loss", 0.5)
    history = httpx.get(
        f"{url}/api/v1/metrics/steps/values",
        params={"name": "loss", "kind": "scalar", "execution": "exec-1"},
        headers={"X-API-Key": workspace.admin_key},
    )
    assert history.json()["values"] == [0.5, 0.5]


def test_what_crafts_sdk_records_is_read(truthline, sdk, monkeypatch):
    monkeypatch.setenv("CRAFT_AI_EXECUTION_ID", "exec-1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sdk.record_metric_value("loss", 0.5)
        sdk.record_list_metric_values("loss", [0.5, 0.25])

    assert truthline.get_metrics()[0]["value"] == 0.5
    assert truthline.get_list_metrics()[0]["values"] == [0.5, 0.25]


def test_an_execution_reports_its_pipeline_and_deployment(truthline):
    with truthline.execution("run/1", pipeline="train", deployment="nightly") as execution:
        truthline.record_metric_value("loss", 1)
    with truthline.execution("run/2", pipeline="train"):
        truthline.record_metric_value("loss", 2)

    nightly, manual = truthline.get_metrics(pipeline_name="train")
    assert (nightly["execution_id"], nightly["deployment_name"]) == (execution, "nightly")
    assert (manual["execution_id"], manual["deployment_name"]) == ("run/2", None)
    assert truthline.get_metrics("loss", deployment_name="nightly") == [nightly]
