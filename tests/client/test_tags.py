"""Tags in the client: logged, sent as columns, and asked for."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from truthline import InvalidRows, Unloggable

MOMENT = datetime(2026, 3, 1, 10, tzinfo=UTC)
WINDOW = {"start": MOMENT, "end": MOMENT + timedelta(hours=1)}
COLUMNS = {
    "request_id": ["a", "b", "c"],
    "label": ["yes", "no", "yes"],
    "tag_country": ["FR", "DE", None],
    "tag_tier": [1, 2, 1],
}


def predictions(client, **tags):
    """How many predictions have these tags."""
    [bucket] = client.classification_metrics("fraud", **WINDOW, tags=tags).buckets
    return bucket.predictions


def test_logged_predictions_have_tags(truthline):
    for tags in ({"country": "FR", "new": True}, {"country": "DE"}, None):
        truthline.log_prediction("fraud", label="yes", time=MOMENT, tags=tags)
    assert truthline.flush(10)

    assert predictions(truthline) == 3
    assert predictions(truthline, country="FR") == 1
    assert predictions(truthline, country=["FR", "DE"]) == 2
    assert predictions(truthline, country="FR", new=True) == 1
    assert predictions(truthline, country=None) == 1


@pytest.mark.parametrize("table", [pd.DataFrame(COLUMNS), pl.DataFrame(COLUMNS), pa.table(COLUMNS)])
def test_columns_named_after_tags(truthline, table):
    assert truthline.send_predictions(table, model="fraud", time=MOMENT).accepted == 3

    assert predictions(truthline, tier=1) == 2
    assert predictions(truthline, country=None, tier=1) == 1
    stats = truthline.inference_stats(**WINDOW, tags={"country": "DE"})
    assert stats.totals.inferences.now == 1


def test_tags_of_all_rows_and_of_each(truthline):
    rows = [{"label": "yes", "tag_country": "FR"}, {"label": "yes", "tags": {"plan": "free"}}]
    truthline.send_predictions(rows, model="fraud", time=MOMENT, tags={"plan": "pro"})

    assert predictions(truthline, country="FR", plan="pro") == 1
    assert predictions(truthline, plan="free") == 1


def test_rejected_tags_name_their_row(truthline):
    row = {"model": "fraud", "label": "yes"}
    with pytest.raises(Unloggable, match="row 1: tags: a mapping of keys to values is expected"):
        truthline.send_predictions([row, row | {"tags": "FR"}])
    with pytest.raises(Unloggable, match="row 0: tags are given twice"):
        truthline.send_predictions([row | {"tags": {"a": "b"}, "tag_a": "c"}])
    with pytest.raises(Unloggable, match="no column is named 'tag_a'"):
        truthline.send_feedback([row | {"request_id": "r", "tag_a": "c"}])
    with pytest.raises(InvalidRows, match="tags"):
        truthline.send_predictions([row | {f"tag_{n}": "x" for n in range(9)}])


def test_a_result_names_its_tags(truthline):
    truthline.send_predictions(pd.DataFrame(COLUMNS), model="fraud", time=MOMENT)
    answer = truthline.classification_metrics("fraud", **WINDOW, tags={"country": ["FR", "DE"]})
    assert str(answer.subject) == "fraud, country:FR, country:DE"


def test_answers_by_a_tag(truthline):
    truthline.send_predictions(pd.DataFrame(COLUMNS), model="fraud", time=MOMENT)
    truthline.send_feedback([{"request_id": "b", "label": "yes"}], model="fraud")

    answer = truthline.classification_metrics("fraud", **WINDOW, group_by="country")
    assert [(group.value, group.n, group.predictions) for group in answer.groups] == [
        ("DE", 1, 1),
        (None, 0, 1),
        ("FR", 0, 1),
    ]
    assert answer.groups[0].buckets[0].accuracy == 0
    assert answer.remainder is None
    table = answer.groups_to_pandas()
    assert table.loc["DE", "accuracy"].tolist() == [0]
    assert table["predictions"].tolist() == [1, 1, 1]

    answer = truthline.classification_metrics(
        "fraud", **WINDOW, group_by="country", group_limit=1, tags={"tier": 1}
    )
    assert answer.remainder == replace(answer.remainder, values=1, predictions=1)
    assert truthline.classification_metrics("fraud", **WINDOW).groups is None
    assert truthline.classification_metrics("fraud", **WINDOW).groups_to_pandas().empty


def test_inference_totals_by_a_tag(truthline):
    truthline.send_predictions(pd.DataFrame(COLUMNS), model="fraud", time=MOMENT)

    stats = truthline.inference_stats(**WINDOW, group_by="tier", group_limit=1)
    assert [(group.value, group.inferences.now) for group in stats.groups] == [("1", 2)]
    assert stats.remainder == replace(stats.remainder, values=1)
    assert stats.remainder.inferences.now == 1
