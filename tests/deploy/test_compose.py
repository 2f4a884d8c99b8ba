"""docker-compose.yml and .env.example as files."""

import re
import subprocess
import sys
from dataclasses import fields

from app.config import PREFIX, Settings
from tests.deploy.compose import (
    COMPOSE_FILE,
    IMAGE,
    REFERENCE,
    ROOT,
    example_environment,
    read_yaml,
    services,
)

DASHBOARDS = ROOT / "grafana/provisioning/dashboards/truthline.yaml"
DATASOURCES = ROOT / "grafana/provisioning/datasources/truthline.yaml"


def references() -> list[re.Match[str]]:
    return list(REFERENCE.finditer(COMPOSE_FILE.read_text()))


def of_our_image() -> dict[str, dict]:
    return {name: found for name, found in services().items() if found["image"] == IMAGE}


def test_the_file_meets_the_compose_specification() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run(
        [*check, COMPOSE_FILE], capture_output=True, text=True, check=False, timeout=60
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_reference_has_a_default_or_a_complaint() -> None:
    assert len(references()) == COMPOSE_FILE.read_text().count("$")


def test_the_example_names_the_variables_of_the_file_and_no_others() -> None:
    assert {match["name"] for match in references()} == set(example_environment())


def test_the_example_shows_the_defaults() -> None:
    defaults = {match["name"]: match["text"] for match in references() if match["operator"] == ":-"}
    example = example_environment()
    assert defaults == {name: example[name] for name in defaults}


def test_passwords_are_required_and_have_no_default() -> None:
    required = {match["name"] for match in references() if match["operator"] == ":?"}
    passwords = {name for name in example_environment() if "PASSWORD" in name}
    assert required == passwords
    assert {example_environment()[name] for name in passwords} == {""}


def test_secrets_come_from_variables_only() -> None:
    written = read_yaml(COMPOSE_FILE)["services"].values()
    values = [
        value
        for service in written
        for name, value in service.get("environment", {}).items()
        if "PASSWORD" in name
    ]
    assert values
    assert all(REFERENCE.fullmatch(value) for value in values)


def test_every_image_has_a_tag_that_stays() -> None:
    for name, service in services().items():
        image, _, tag = service["image"].rpartition(":")
        assert image, name
        assert tag not in ("", "latest"), name


def test_ports_are_published_on_loopback_by_default() -> None:
    published = [port for service in services().values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_what_is_mounted_from_here_exists() -> None:
    mounts = [volume for service in services().values() for volume in service.get("volumes", [])]
    sources = [mount.split(":")[0] for mount in mounts if mount.startswith(".")]
    assert sources
    assert all((ROOT / source).exists() for source in sources)


def test_our_services_set_settings_that_exist() -> None:
    known = {PREFIX + field.name.upper() for field in fields(Settings)}
    assert set(of_our_image()) == {"migrate", "api", "worker"}
    for service in of_our_image().values():
        given = {name for name in service["environment"] if name.startswith(PREFIX)}
        assert given <= known


def test_our_services_can_change_nothing_in_their_container() -> None:
    for service in of_our_image().values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_grafana_reads_as_the_reader() -> None:
    (source,) = read_yaml(DATASOURCES)["datasources"]
    assert (source["uid"], source["user"]) == ("truthline", "grafana_reader")
    variable = source["secureJsonData"]["password"].removeprefix("$")
    assert variable in services()["grafana"]["environment"]


def test_grafana_finds_the_dashboards() -> None:
    (provider,) = read_yaml(DASHBOARDS)["providers"]
    grafana = services()["grafana"]
    mounts = dict(volume.split(":")[1::-1] for volume in grafana["volumes"])
    assert ROOT / mounts[provider["options"]["path"]] == DASHBOARDS.parent
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    directory, _, name = home.rpartition("/")
    assert (ROOT / mounts[directory] / name).exists()
