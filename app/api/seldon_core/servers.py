"""Seldon's metrics servers: what the operator configured for each deployment.

In place of one server per deployment, with arguments and variables of its own, there is one file
for all of them: see docs/seldon-core.md.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from app.api.seldon_core.readings import MetricKind
from app.ingest.fields import RequiredName

UNKNOWN = "NOT_IMPLEMENTED"  # as Seldon's own servers say
HttpUrl = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s/]+")]


class MetricsServer(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How feedback of one deployment is counted; members have the names of the vendor's arguments.

    An empty `name` or `namespace` stands for all. `storage_uri` is the class that counts, with or
    without its package; without one the shape of an answer decides.
    """

    name: str = ""
    namespace: str = ""
    storage_uri: str = ""
    event_type: RequiredName = "io.seldon.serving.feedback.metrics"
    event_source: RequiredName = "io.seldon.serving.feedback"
    reply_url: HttpUrl | None = None
    image: str = f"{UNKNOWN}:{UNKNOWN}"
    predictor_version: str = UNKNOWN

    @property
    def kind(self) -> MetricKind | None:
        """How answers are read and counted."""
        return MetricKind(self.storage_uri.rpartition(".")[2]) if self.storage_uri else None

    def serves(self, namespace: str, deployment: str) -> bool:
        """Whether feedback of this deployment is this server's."""
        return self.name in ("", deployment) and self.namespace in ("", namespace)

    @property
    def labels(self) -> dict[str, str]:
        """Labels of all its metrics, beside those that the event tells."""
        image, _, version = self.image.rpartition(":")
        return {
            "image_name": image,
            "image_version": version,
            "method": self.event_type,
            "model_image": image,
            "model_version": version,
            "predictor_version": self.predictor_version,
            "worker_id": "truthline",
        }


class MetricsServersFile(msgspec.Struct, forbid_unknown_fields=True):
    """The file: one table per deployment."""

    deployment: list[MetricsServer] = []


@dataclass(frozen=True, slots=True)
class MetricsServers:
    """All of them. The first that serves a deployment counts; others have the defaults."""

    configured: tuple[MetricsServer, ...] = ()

    def of(self, namespace: str, deployment: str) -> MetricsServer:
        """The one of a deployment."""
        serving = (one for one in self.configured if one.serves(namespace, deployment))
        return next(serving, MetricsServer())


def read_metrics_servers(path: str) -> MetricsServers:
    """Read the file at `path`, if that isn't empty.

    Raises:
        ValueError: it isn't one; the text says where.
    """
    if not path:
        return MetricsServers()
    try:
        read = msgspec.convert(tomllib.loads(Path(path).read_text()), type=MetricsServersFile)
        for one in read.deployment:
            _ = one.kind
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
    return MetricsServers(tuple(read.deployment))
