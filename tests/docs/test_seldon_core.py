"""The walk-through of docs/seldon-core.md: its file, its commands and its answers."""

import json
import re
import subprocess
import tomllib

import msgspec
import pytest
import yaml

from app.api.seldon_core.readings import MetricKind
from app.api.seldon_core.servers import MetricsServer, read_metrics_servers
from tests.cli.test_commands import ROOT, served

PAGE = (ROOT / "docs/seldon-core.md").read_text()
BLOCKS = dict.fromkeys(("bash", "toml", "text", "yaml"), "")
BLOCKS = {kind: re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL) for kind in BLOCKS}
CURLS = [block for block in BLOCKS["bash"] if block.startswith("curl")]
KUBECTL = [block for block in BLOCKS["bash"] if block.startswith("kubectl")]
[EXPOSED] = BLOCKS["text"]
[TABLE] = BLOCKS["toml"]


def play(curl, base):
    """Run a documented curl against another port."""
    command = curl.replace("http://127.0.0.1:8000", base).strip() + " --fail-with-body"
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout
    return answer.stdout


@pytest.fixture
def server(tmp_path):
    """The server of the walk-through, with its file."""
    file = tmp_path / "metrics-servers.toml"
    file.write_text(TABLE)
    variable = {"TRUTHLINE_METRICS_SERVERS": str(file)}
    with served(tmp_path / "data", "--no-auth", **variable) as base:
        yield base


def test_the_commands_do_what_the_page_says(server):
    feedback, metrics, over_time = CURLS

    assert play(feedback, server) == "{}"
    assert play(metrics, server).splitlines() == EXPOSED.splitlines()
    (bucket,) = json.loads(play(over_time, server))["buckets"]
    assert (bucket["n"], bucket["accuracy"]) == (1, 1.0)


def test_what_is_sent_by_hand_is_what_the_executor_is_sent():
    body = re.compile(r"-d '(\{.*\})'")

    assert body.search(KUBECTL[-1])[1] == body.search(CURLS[0])[1]


def test_the_files_that_are_applied_are_there():
    named = [name for block in KUBECTL for name in re.findall(r"-f (\S+\.yaml)", block)]

    assert len(named) == 2
    assert all((ROOT / name).exists() for name in named)


def test_the_file_of_the_page_is_that_of_the_manifest():
    manifest = ROOT / "deploy/kubernetes/metrics-server.yaml"
    config = next(yaml.safe_load_all(manifest.read_text()))

    assert config["kind"] == "ConfigMap"
    (text,) = config["data"].values()
    assert tomllib.loads(text) == tomllib.loads(TABLE)


def test_every_yaml_of_the_page_is_yaml():
    (written,) = re.findall(r"<< END\n(.*?)\nEND", KUBECTL[0], re.DOTALL)

    assert [yaml.safe_load(text) for text in (written, *BLOCKS["yaml"])]


def rows(heading):
    """First cells of the table below a heading."""
    section = next(part for part in PAGE.split("\n## ") if part.startswith(heading))
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return set(re.findall(r"`(\w+)`", " ".join(cells)))


def test_the_page_names_every_member_of_the_file(tmp_path):
    assert rows("The metrics server") == {f.name for f in msgspec.structs.fields(MetricsServer)}
    file = tmp_path / "servers.toml"
    file.write_text(TABLE)
    assert read_metrics_servers(str(file)).configured


def test_the_page_names_every_way_to_count():
    assert rows("What counts") == set(MetricKind)
