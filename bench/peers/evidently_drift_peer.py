"""Evidently's report of the drift of one column, of the rows of one model in a Parquet file."""

import json
import sys
import time

import evidently
import pandas as pd
from evidently import Dataset, Report
from evidently.presets import DataDriftPreset


def main(path: str) -> None:
    """Answer questions until there are no more."""
    table = pd.read_parquet(path)
    print(json.dumps({"evidently": evidently.__version__}), flush=True)
    for line in sys.stdin:
        column = json.loads(line)["column"]
        began = time.perf_counter()
        rows = table[[column, "is_a"]].dropna()
        reference, current = (rows.loc[rows["is_a"] == side, [column]] for side in (True, False))
        found = Report([DataDriftPreset()]).run(
            Dataset.from_pandas(current), Dataset.from_pandas(reference)
        )
        found.dict()
        print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
