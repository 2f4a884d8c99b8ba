"""Build the service, and pass it everything it needs."""

import flask_smorest
from flask import Flask

from app.api.craft import routes as craft
from app.api.h2o import oidc
from app.api.h2o import routes as h2o
from app.api.http import (
    headers,
    hosts,
    numbers,
    observe,
    packing,
    parameters,
    positions,
    problems,
    query_limiter,
    reference,
    whole,
)
from app.api.native import (
    changes,
    compare,
    corrected,
    drift,
    export,
    inferences,
    ingest,
    label_delay,
    metrics,
    monitors,
    receivers,
    requests,
    scores,
    steps,
)
from app.api.operations import routes as operations
from app.api.roboflow import routes as roboflow
from app.api.seldon_core import routes as seldon_v1
from app.api.seldon_core.servers import read_metrics_servers
from app.api.seldon_mpm import routes as seldon
from app.auth.issuer import Issuer
from app.config import Settings
from app.ingest.events.batching import EventBatcher
from app.store.database import Database
from app.subpath import SubPath
from app.web import routes
from app.web.error_page import error_page

API_CONFIG = {
    "API_TITLE": "Truthline",
    "API_VERSION": "v1",
    "OPENAPI_VERSION": "3.1.0",
}
# OpenAPI types of our own fields.
FIELD_TYPES = {
    numbers.Number: ("number", "double"),
    numbers.Float32: ("number", "float"),
    numbers.UtcTime: ("string", "date-time"),
    parameters.Instant: ("string", "date-time"),
    parameters.UtcInstant: ("string", "date-time"),
    roboflow.Moment: ("string", None),
    parameters.GoDuration: ("string", None),
    metrics.Interval: ("string", None),
    requests.RequestCursorField: ("string", None),
}
BLUEPRINTS = (
    ingest,
    metrics,
    scores,
    changes,
    compare,
    corrected,
    drift,
    label_delay,
    inferences,
    requests,
    export,
    monitors,
    receivers,
    steps,
    seldon,
    h2o,
    roboflow,
    craft,
    oidc,
    operations,
    seldon_v1,
)


class Api(flask_smorest.Api):
    """flask-smorest, which leaves all errors to `app/api/http/problems.py`."""

    def _register_error_handlers(self) -> None:
        """Register none: problems.install has done it."""


def create_app(settings: Settings, database: Database | None = None) -> Flask:
    """Build the service. Tests pass their own `database`; nothing else is ever faked."""
    app = Flask("app", static_folder=None)
    app.config.update(API_CONFIG, MAX_CONTENT_LENGTH=settings.max_body_bytes)
    app.json.sort_keys = False  # type: ignore[attr-defined] # the dialects define the order
    # Published clients send double and trailing slashes, and don't all follow redirects.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.converters["name"] = parameters.NameConverter
    app.extensions["settings"] = settings
    app.extensions["database"] = database or Database.from_settings(settings)
    app.extensions["issuer"] = Issuer(settings) if settings.oidc_issuer else None
    app.extensions["event_batcher"] = EventBatcher(app.extensions["database"])
    app.extensions["metrics_servers"] = read_metrics_servers(settings.metrics_servers)
    packing.install(app)  # first: it is the last to see a response
    headers.install(app)
    whole.install(app)
    observe.install(app)
    positions.install(app)
    hosts.install(app, settings)
    problems.install(app, error_page)
    query_limiter.install(app, settings)
    app.register_blueprint(routes.blp)
    api = Api(app)
    for field, type_and_format in FIELD_TYPES.items():
        api.register_field(field, *type_and_format)
    for module in BLUEPRINTS:
        api.register_blueprint(module.blp)
    reference.install(app, api)
    app.wsgi_app = SubPath(app.wsgi_app, settings)  # type: ignore[method-assign] # Flask's way
    return app
