"""For operators: whether the service is alive and ready, and its metrics."""

import logging
import os
from http import HTTPStatus
from typing import Any

from flask import Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client import REGISTRY as PROCESS_REGISTRY
from prometheus_client.multiprocess import MultiProcessCollector

from app.api.http.answers import Blueprint
from app.api.operations.level_metrics import LevelMetrics
from app.api.operations.monitor_metrics import MonitorMetrics
from app.api.operations.replica_metrics import ReplicaMetrics
from app.errors import Unavailable, with_reason
from app.monitors.watched import Watched, watched
from app.query.status import FreshLevel, fresh_levels
from app.running import database
from app.store.disconnects import time_limit
from app.store.edition import server_info
from app.store.migration import schema_version

# A readiness probe doesn't wait long for a database that hangs.
SILENCE_SECONDS = 5.0

_log = logging.getLogger(__name__)

blp = Blueprint("operations", __name__, description="Health and the service's own metrics")


@blp.route("/livez")
@blp.response(200)
def livez() -> Response:
    """Whether the process responds"""
    return jsonify({"status": "alive"})


@blp.route("/readyz")
@blp.response(200)
@blp.alt_response(503, description="Not ready; the body says which part")
def readyz() -> tuple[Response, int]:
    """Whether requests can be handled: database reachable, migrations at head"""
    try:
        report = _report()
    except Unavailable as error:
        _log.warning("not ready: %s", with_reason(error))
        report = {"status": "not ready", "database": str(error)}
    ready = report["status"] == "ready"
    return jsonify(report), HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE


def _report() -> dict[str, Any]:
    with time_limit(SILENCE_SECONDS), database().reading() as conn:
        version, info = schema_version(conn), server_info(conn)
    return {
        "status": "ready" if version.usable else "not ready",
        "database": "ok",
        "migrations": {"current": version.current, "head": version.head},
        "edition": info.edition,
        "postgres": info.postgres,
        "timescaledb": info.timescaledb,
    } | _replica()


def _replica() -> dict[str, Any]:
    """The replica's state: without it the service is ready too, and the primary answers."""
    replica = database().replica
    if replica is None:
        return {}
    with time_limit(SILENCE_SECONDS):
        lag = replica.lag()
    return {"replica": {"lagSeconds": None if lag is None else lag.total_seconds()}}


@blp.route("/metrics")
@blp.response(200, content_type="text/plain")
def service_metrics() -> Response:
    """The service's own metrics, for Prometheus: of its processes, levels and monitors"""
    registry = PROCESS_REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # no types there
    levels, monitors = _stored()
    exposition = generate_latest(registry) + generate_latest(LevelMetrics(levels))
    if monitors is not None:
        exposition += generate_latest(MonitorMetrics(monitors))
    if replica := database().replica:
        exposition += generate_latest(ReplicaMetrics(replica.lag()))
    return Response(exposition, content_type=CONTENT_TYPE_LATEST)


def _stored() -> tuple[list[FreshLevel], Watched | None]:
    """Nothing if the database is unreachable: the metrics of the process are still returned."""
    try:
        with database().reading() as conn:
            return fresh_levels(conn), watched(conn)
    except Unavailable:
        return [], None
