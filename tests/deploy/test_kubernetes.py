"""The manifests for Kubernetes and Knative: valid and consistent with each other."""

from dataclasses import fields

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError

from app.api.seldon_core.events import FEEDBACK, REQUEST, RESPONSE
from app.api.seldon_core.servers import read_metrics_servers
from app.cli.serve import serve
from app.config import PREFIX, Settings
from tests.deploy.compose import ROOT

FOLDER = ROOT / "deploy/kubernetes"


def object_of(*required, **properties):
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "object", "additionalProperties": TEXT}
METADATA = object_of("name", name=TEXT, namespace=TEXT, labels=TEXTS, annotations=TEXTS)
# What Knative's own definitions allow (knative/eventing, config/core/resources/trigger.yaml; and
# knative/serving, config/core/300-resources/service.yaml), as far as it is used here. A pod is
# checked as Kubernetes' own, below.
KNATIVE = {
    ("eventing.knative.dev/v1", "Trigger"): object_of(
        "subscriber",
        broker=TEXT,
        filter=object_of(attributes=TEXTS),
        subscriber=object_of(
            uri=TEXT,
            ref=object_of(
                "apiVersion", "kind", "name", apiVersion=TEXT, kind=TEXT, name=TEXT, namespace=TEXT
            ),
        ),
    ),
    ("serving.knative.dev/v1", "Service"): object_of(
        template=object_of(
            metadata=object_of(annotations=TEXTS, labels=TEXTS, name=TEXT), spec={"type": "object"}
        )
    ),
}
ENVELOPE = object_of(
    "apiVersion", "kind", "metadata", "spec", apiVersion=TEXT, kind=TEXT, metadata=METADATA, spec={}
)


def documents():
    """(file, document) of all manifests."""
    for path in sorted(FOLDER.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            yield pytest.param(document, id=f"{path.stem}-{document['metadata']['name']}")


DOCUMENTS = list(documents())
ALL = [one.values[0] for one in DOCUMENTS]


def named(kind, api="v1"):
    """The one document of a kind."""
    (found,) = (one for one in ALL if (one["kind"], one["apiVersion"]) == (kind, api))
    return found


def pods():
    """The specification of each pod."""
    return [one["spec"]["template"]["spec"] for one in ALL if "template" in one.get("spec", {})]


def as_pod(spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}


def check(document):
    knative = KNATIVE.get((document["apiVersion"], document["kind"]))
    if knative is None:
        kubernetes_validate.validate(document, "1.31", strict=True)
    else:
        Draft202012Validator(ENVELOPE).validate(document)
        Draft202012Validator(knative).validate(document["spec"])


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_is_what_its_kind_allows(document):
    check(document)


@pytest.mark.parametrize("spec", pods())
def test_each_pod_is_one(spec):
    check(as_pod(spec))


@pytest.mark.parametrize("kind", ["Deployment", "Trigger"])
def test_what_the_kind_does_not_allow_would_be_seen(kind):
    document = next(one for one in ALL if one["kind"] == kind)

    with pytest.raises((kubernetes_validate.ValidationError, ValidationError)):
        check(document | {"spec": document["spec"] | {"unknown": 1}})


def test_the_service_finds_the_pods():
    deployment, service = named("Deployment", "apps/v1"), named("Service")
    labels = deployment["spec"]["template"]["metadata"]["labels"]

    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert service["spec"]["selector"].items() <= labels.items()
    (port,) = deployment["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]


def test_the_triggers_bring_every_type_to_the_service():
    triggers = [one["spec"] for one in ALL if one["kind"] == "Trigger"]

    types = {spec["filter"]["attributes"]["type"] for spec in triggers}
    assert types == {FEEDBACK, REQUEST, RESPONSE}
    for spec in triggers:
        assert spec["subscriber"]["ref"]["name"] == named("Service")["metadata"]["name"]


@pytest.mark.parametrize("spec", pods())
def test_the_command_and_its_settings_are_there(spec):
    (container,) = spec["containers"]
    command, *arguments = container["args"]

    assert command == serve.name
    options = serve.make_context("serve", arguments, resilient_parsing=False).params
    assert options["port"] == container["ports"][0]["containerPort"]
    known = {PREFIX + field.name.upper() for field in fields(Settings)}
    assert {variable["name"] for variable in container["env"]} <= known


@pytest.mark.parametrize("spec", pods())
def test_the_file_of_metrics_servers_is_one_and_is_where_it_is_looked_for(spec, tmp_path):
    (container,) = spec["containers"]
    (mount,) = (m for m in container["volumeMounts"] if m["name"] == "metrics-servers")
    (volume,) = (v for v in spec["volumes"] if v["name"] == mount["name"])
    config = named("ConfigMap")
    ((name, text),) = config["data"].items()
    (path,) = (v["value"] for v in container["env"] if v["name"] == "TRUTHLINE_METRICS_SERVERS")
    (tmp_path / name).write_text(text)

    assert volume["configMap"]["name"] == config["metadata"]["name"]
    assert path == f"{mount['mountPath']}/{name}"
    assert read_metrics_servers(str(tmp_path / name)).of("default", "multiclass-model").kind
