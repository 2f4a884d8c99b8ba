"""The dashboards, and the values of their variables."""

import json

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.dashboards.__main__ import DASHBOARDS
from tests.sql.macros import ALL

ANYWHERE: dict[str, str | None] = {
    "workspace": "default",
    "namespace": ALL,
    "pipeline": ALL,
    "version": ALL,
    "tag": ALL,
}
CHOSEN: dict[str, dict[str, str | None]] = {
    "models": {"workspace": "default"},
    "classification": ANYWHERE | {"model": "digits", "interval": "30m"},
    "regression": ANYWHERE | {"model": "diabetes", "interval": "30m"},
    "inferences": ANYWHERE | {"model": "digits", "interval": "30m"},
    "steps": {
        "workspace": "default",
        "pipeline": ALL,
        "scalar": "accuracy",
        "list": "loss",
        "execution": "train-3",
        "interval": "15m",
    },
    "operations": {"workspace": "default"},
}
BOARDS = {build.__name__: json.loads(json.dumps(build(), cls=JSONEncoder)) for build in DASHBOARDS}
