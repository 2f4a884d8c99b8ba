"""Seldon's metrics servers: the configuration of each deployment.

The vendor runs one server per deployment, with arguments and variables of its own; here one file
configures all of them: see docs/seldon-core.md.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from app.api.seldon_core.readings import MetricKind
from app.ingest.fields import RequiredName

UNKNOWN = "NOT_IMPLEMENTED"  # as in Seldon's own servers
HttpUrl = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s/]+")]


class MetricsServer(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How feedback of one deployment is counted; members have the names of the vendor's arguments.

    An empty `name` or `namespace` matches all. `storage_uri` is the class that counts, with or
    without its package; if it is empty, the shape of an answer decides.
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
        """How answers are interpreted and counted."""
        return MetricKind(self.storage_uri.rpartition(".")[2]) if self.storage_uri else None

    def serves(self, namespace: str, deployment: str) -> bool:
        """Whether this server counts feedback of this deployment."""
        return self.name in ("", deployment) and self.namespace in ("", namespace)

    @property
    def labels(self) -> dict[str, str]:
        """Labels of all its metrics, in addition to those from the event."""
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
    """All of them. The first that matches a deployment is used, or else the defaults."""

    configured: tuple[MetricsServer, ...] = ()

    def of(self, namespace: str, deployment: str) -> MetricsServer:
        """The server of a deployment."""
        serving = (server for server in self.configured if server.serves(namespace, deployment))
        return next(serving, MetricsServer())


def read_metrics_servers(path: str) -> MetricsServers:
    """Read the file at `path`, unless that is empty.

    Raises:
        ValueError: it is invalid; the message says where.
    """
    if not path:
        return MetricsServers()
    try:
        read = msgspec.convert(tomllib.loads(Path(path).read_text()), type=MetricsServersFile)
        for server in read.deployment:
            _ = server.kind
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
    return MetricsServers(tuple(read.deployment))
