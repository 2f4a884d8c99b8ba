"""Write the dashboards as JSON where Grafana's provisioning finds them."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.dashboards.classification import classification
from grafana.dashboards.inferences import inferences
from grafana.dashboards.models import models
from grafana.dashboards.operations import operations
from grafana.dashboards.regression import regression
from grafana.dashboards.steps import steps

DASHBOARDS = (models, classification, regression, inferences, steps, operations)
DIRECTORY = Path(__file__).parents[1] / "provisioning" / "dashboards"


def written() -> dict[Path, str]:
    """The text of each file."""
    return {
        DIRECTORY / f"{build.__name__}.json": json.dumps(
            build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False
        )
        + "\n"
        for build in DASHBOARDS
    }


def main() -> None:
    """Write them."""
    for path, text in written().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
