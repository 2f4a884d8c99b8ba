"""The alert rules for Prometheus: valid, firing when they should, and about metrics that exist."""

import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from app.api.operations.replica_metrics import ReplicaMetrics

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus"
PROMTOOL = shutil.which("promtool")


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool, of Debian's package prometheus")
@pytest.mark.parametrize("arguments", [("check", "rules", "alerts.yml"),
                                       ("test", "rules", "alerts.test.yml")])  # fmt: skip
def test_promtool_finds_nothing_wrong(arguments):
    done = subprocess.run(
        [PROMTOOL, *arguments], cwd=RULES, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_are_about_metrics_that_exist_and_explained(client):
    rules = (RULES / "alerts.yml").read_text(encoding="utf-8")
    runbook = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    exposed = client.get("/metrics").text
    exposed += generate_latest(ReplicaMetrics(timedelta(seconds=1))).decode()
    names = {name.removesuffix("_count") for name in re.findall(r"\btruthline_\w+", rules)}
    assert len(names) > 5
    assert {name for name in names if f"# TYPE {name} " not in exposed} == set()
    alerts = re.findall(r"alert: (\w+)", rules)
    tested = (RULES / "alerts.test.yml").read_text(encoding="utf-8")
    assert [
        alert for alert in alerts if f"| `{alert}` |" not in runbook or alert not in tested
    ] == []
