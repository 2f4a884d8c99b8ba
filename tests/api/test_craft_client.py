"""Craft AI's published SDK, unmodified, against a live server: its four functions."""

import pytest
from craft_ai_sdk import CraftAiSdk
from craft_ai_sdk.exceptions import SdkException

from tests.api.live import serving


@pytest.fixture
def url(app):
    with serving(app) as url:
        yield url


@pytest.fixture
def sdk(url, workspace):
    """The SDK with this test's admin key, at both of its addresses."""
    sdk = CraftAiSdk(sdk_token=workspace.admin_key, environment_url=url, control_url=url)
    yield sdk
    sdk._session.close()


@pytest.fixture
def inside(monkeypatch):
    """Run what follows inside an execution."""
    return lambda name: monkeypatch.setenv("CRAFT_AI_EXECUTION_ID", name)


def test_the_documented_scalars(sdk, inside):
    inside("exec-1")

    assert sdk.record_metric_value("accuracy", 0.1409) is True
    assert sdk.record_metric_value("loss", 1 / 3) is True

    found = sdk.get_metrics()
    assert [(row["name"], row["value"]) for row in found] == [("accuracy", 0.1409), ("loss", 1 / 3)]
    assert {row["execution_id"] for row in found} == {"exec-1"}


def test_the_documented_lists(sdk, inside):
    inside("exec-1")
    sdk.record_list_metric_values("accuracy_list", [0.89, 0.92, 0.95])
    sdk.record_list_metric_values("loss_list", [1.4, 1.2])
    sdk.record_list_metric_values("loss_list", [1.1, 1.0])

    found = sdk.get_list_metrics()

    assert {row["name"]: row["values"] for row in found} == {
        "accuracy_list": [0.89, 0.92, 0.95],
        "loss_list": [1.4, 1.2, 1.1, 1.0],
    }


def test_50_000_values_fit_and_one_more_is_refused(sdk, inside):
    inside("exec-1")
    values = [float(number) for number in range(50_000)]

    sdk.record_list_metric_values("many", values)
    with pytest.raises(SdkException, match="holds 50000 values"):
        sdk.record_list_metric_values("many", 0.5)

    [row] = sdk.get_list_metrics(name="many")
    assert row["values"] == values
