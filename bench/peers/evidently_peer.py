"""Evidently's report of a classifier, of the rows of one model in a Parquet file."""

import json
import sys
import time

import evidently
import pandas as pd
from evidently import DataDefinition, Dataset, MulticlassClassification, Report
from evidently.presets import ClassificationPreset

DEFINITION = DataDefinition(
    classification=[MulticlassClassification(target="actual", prediction_labels="label")]
)


def report(rows: pd.DataFrame) -> float:
    """The accuracy of a report, which has the metrics of each class, too."""
    dataset = Dataset.from_pandas(rows, data_definition=DEFINITION)
    metrics = Report([ClassificationPreset()]).run(dataset, None).dict()["metrics"]
    (accuracy,) = (m["value"] for m in metrics if "Accuracy" in m["metric_name"])
    return float(accuracy)


def main(path: str) -> None:
    """Answer questions until there are no more."""
    table = pd.read_parquet(path)
    table[["label", "actual"]] = table[["label", "actual"]].astype(str)
    print(json.dumps({"evidently": evidently.__version__}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        began = time.perf_counter()
        chosen = (table["model"] == asked["model"]) & table["time"].between(
            asked["start"], asked["end"], inclusive="left"
        )
        accuracy = report(table.loc[chosen, ["label", "actual"]])
        seconds = time.perf_counter() - began
        print(json.dumps({"seconds": seconds, "accuracy": accuracy}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
