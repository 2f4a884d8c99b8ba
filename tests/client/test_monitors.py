"""Monitors and receivers by the client: what is put is what is there, and errors say why."""

from datetime import UTC, datetime, timedelta

import pytest
from truthline import Forbidden, InvalidRequest, NotFound

MOMENT = datetime(2026, 3, 1, 10, tzinfo=UTC)
BODY = {
    "model": "fraud",
    "metric": "accuracy",
    "window": "1h",
    "compare": {"with": "reference", "startTime": MOMENT, "endTime": MOMENT + timedelta(hours=1)},
    "rule": {"is": "below"},
    "tags": ("country:FR",),
    "notify": ["on call"],
}


def test_monitors_and_receivers_live_and_end(truthline):
    hook = truthline.put_receiver("on call", "webhook", "https://hooks.example.com/a-secret")
    made = truthline.put_monitor("fraud-accuracy", BODY)
    again = truthline.put_monitor("fraud-accuracy", {**made.definition, "severity": "warning"})

    assert hook.secret.startswith("whsec_")
    assert [(one.name, one.host, one.secret) for one in truthline.receivers()] == [
        ("on call", "https://hooks.example.com", None)
    ]
    assert made.definition["compare"]["startTime"] == "2026-03-01T10:00:00Z"
    assert made.definition["tags"] == ["country:FR"]
    assert (made.revision, again.revision, again.fires) == (1, 2, False)
    assert truthline.monitors() == (truthline.monitor("fraud-accuracy"),) == (again,)
    assert truthline.monitor_history("fraud-accuracy", as_of=MOMENT).to_pandas().empty
    with pytest.raises(InvalidRequest, match="a monitor still"):
        truthline.delete_receiver("on call")

    truthline.delete_monitor("fraud-accuracy")
    truthline.delete_receiver("on call")
    assert (truthline.monitors(), truthline.receivers()) == ((), ())


def test_errors_say_why(truthline, url, workspace):
    with pytest.raises(InvalidRequest, match="no such receiver"):
        truthline.put_monitor("m", BODY)
    with pytest.raises(InvalidRequest, match="metric must be one of"):
        truthline.put_monitor("m", {**BODY, "metric": "mood", "notify": []})
    for ask in (truthline.monitor, truthline.monitor_history, truthline.test_monitor):
        with pytest.raises(NotFound, match="no monitor m"):
            ask("m")
    with type(truthline)(url, workspace.read_key) as reader:
        with pytest.raises(Forbidden):
            reader.put_monitor("m", {**BODY, "notify": []})
        assert reader.monitors() == ()
