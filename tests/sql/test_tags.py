"""Tags in SQL: functions by name select by them, and rows have them."""

import json

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError

from tests.api.given import MINUTE, START, predict, prediction, tell, truth, verdict

TAGS = [{"country": "FR", "plan": "pro"}, {"country": "DE", "plan": "pro"}, {"plan": "free"}, {}]
WANTED = [
    (None, [0, 1, 2, 3]),
    ({"country": "FR"}, [0]),
    ({"country": ["FR"]}, [0]),
    ({"country": ["FR", "DE"]}, [0, 1]),
    ({"country": "", "plan": "free"}, [2]),
    ({"country": ["", "DE"]}, [1, 2, 3]),
    ({"plan": "pro", "country": "DE"}, [1]),
    ({"country": "DE", "plan": ["free", "pro"]}, [1]),
    ({}, [0, 1, 2, 3]),
    ({"country": []}, []),
    ({"city": "Paris"}, []),
]
WINDOW = "workspace => :workspace, start_time => :start, end_time => :end"
NUMBERS = {
    "truths": "SELECT n FROM truthline.classification_metrics(model => 'fraud', {})",
    "matrix": "SELECT sum(n) FROM truthline.confusion_matrix(model => 'fraud', {})",
    "support": "SELECT sum(support) FROM truthline.class_metrics(model => 'fraud', {})",
    "volume": "SELECT n FROM truthline.prediction_volume(model => 'fraud', {})",
    "confidences": "SELECT sum(n) FROM truthline.quantiles(model => 'fraud',"
    " measure => 'confidence', fractions => '{{0.5}}', {})",
    "outputs": "SELECT sum(n_outputs) FROM truthline.inference_stats({})",
    "inferences": "SELECT n_inferences FROM truthline.inference_totals({})",
    "of models": "SELECT sum(n_inferences) FROM truthline.model_stats({})",
    "rows": "SELECT count(*) FROM truthline.predictions({})",
    "rows of the model": "SELECT count(*) FROM truthline.predictions(model => 'fraud', {})",
    "pairs": "SELECT sum(weight) FROM truthline.outcomes({})",
}


@pytest.fixture
def ask(client, database, workspace):
    """A number of a statement, whose function gets these tags."""
    rows = [
        prediction(requestId=f"r{n}", label="yes", confidence=0.5, tags=tags)
        for n, tags in enumerate(TAGS)
    ]
    verdict(predict(client, *rows))
    verdict(tell(client, *(truth(f"r{n}", label="yes") for n in range(len(TAGS)))))

    def ask(statement, tags):
        asked = {"workspace": workspace.name, "start": START, "end": MINUTE["endTime"]}
        wanted = None if tags is None else json.dumps(tags)
        call = statement.format(f"{WINDOW}, tags => CAST(:tags AS jsonb)")
        with database.reading() as conn:
            return [tuple(row) for row in conn.execute(text(call), asked | {"tags": wanted})]

    return ask


@pytest.mark.parametrize("number", NUMBERS)
def test_every_function_by_name_selects_by_tags(ask, number):
    for tags, expected in WANTED:
        [(counted,)] = ask(NUMBERS[number], tags)
        assert (counted or 0) == len(expected), tags


def test_rows_have_their_tags(ask):
    for view, order in (("predictions", "request_id"), ("outcomes", "request_id")):
        columns = f"SELECT request_id, tags FROM truthline.{view}({{}}) ORDER BY {order}"
        for wanted, expected in WANTED:
            assert ask(columns, wanted) == [(f"r{n}", TAGS[n]) for n in expected]


def test_views_have_tags(ask, database, workspace):
    statement = """
        SELECT tags FROM truthline.{} WHERE workspace = :workspace AND tags ->> 'country' = 'FR'
    """
    with database.reading() as conn:
        for view in ("series", "predictions", "outcomes"):
            asked = text(statement.format(view))
            assert conn.execute(asked, {"workspace": workspace.name}).scalars().all() == [TAGS[0]]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["country:FR"], {"country": ["FR"]}),
        (["a:1", "b:2", "a:3"], {"a": ["1", "3"], "b": ["2"]}),
        (["url:http://x"], {"url": ["http://x"]}),
        (["a:"], {"a": [""]}),
        ([None, "a:1"], {"a": ["1"]}),
        ([None], None),
        ([], None),
    ],
)
def test_a_filter_of_texts(database, texts, expected):
    with database.reading() as conn:
        made = conn.execute(text("SELECT truthline.tag_filter(:texts)"), {"texts": texts}).scalar()
    assert made == expected


def test_a_text_without_a_key_is_refused(database):
    for wrong in ("country", ":FR", ""):
        with database.reading() as conn, pytest.raises(DataError, match="no key and value"):
            conn.execute(text("SELECT truthline.tag_filter(:texts)"), {"texts": [wrong]})


BY_TAG = "key => 'country', most => 1, " + WINDOW
PARTS = {
    "classification_metrics_by_tag(model => 'fraud', {})": "n",
    "prediction_volume_by_tag(model => 'fraud', {})": "n",
    "inference_totals_by_tag({})": "n_inferences",
}


@pytest.mark.parametrize("function", PARTS)
def test_functions_by_tag(ask, function):
    call = function.replace("{}", f"{BY_TAG}, tags => CAST(:tags AS jsonb)")
    statement = f"SELECT value, is_rest, n_values, {PARTS[function]} FROM truthline.{call}"

    assert ask(statement, None) == [(None, False, 1, 2), (None, True, 2, 2)]
    assert ask(statement, {"country": ["FR", "DE"]}) == [("DE", False, 1, 1), (None, True, 1, 1)]
    assert ask(statement, {"country": "FR"}) == [("FR", False, 1, 1)]
    assert ask(statement, {"country": "IT"}) == []
