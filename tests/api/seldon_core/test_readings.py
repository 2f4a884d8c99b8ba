"""A truth is read the same, whether its answer comes with it or as an event of its own."""

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.api.events_given import NATIVE, RESPONSE, configured, counted, feedback, message, send
from tests.api.given import keyed_client
from tests.effort import examples

PROBABILITIES = [[0.1, 0.2, 0.7]]
RIGHT = {"true_positive": {"CLASS_2": 1}, "true_negative": {"CLASS_2": 1}}


def together(client, response, truth, model):
    """The answer within the feedback."""
    return send(client, feedback(response, truth), f"{model}-f", modelid=model)


def answer_first(client, response, truth, model):
    send(client, message(response), f"{model}-a", type=RESPONSE, modelid=model)
    return send(client, feedback(None, truth), f"{model}-f", modelid=model)


def truth_first(client, response, truth, model):
    told = send(client, feedback(None, truth), f"{model}-f", modelid=model)
    send(client, message(response), f"{model}-a", type=RESPONSE, modelid=model)
    return told


WAYS = (together, answer_first, truth_first)


def outcomes(client, model):
    """How many truths were joined, and which classes with which."""
    query = NATIVE | {"model": model}
    answer = client.get("/api/v1/metrics/classification", query_string=query)
    if answer.status_code == 404:
        return None
    (bucket,) = answer.json["buckets"]
    return bucket["n"], bucket["categories"], bucket["confusionMatrix"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("truth", [[2], [[2]], [2.0], [[2.0]], ["2"], [[0, 0, 1]], [0, 0, 1]])
@pytest.mark.parametrize("response", [PROBABILITIES, PROBABILITIES[0]])
def test_a_truth_next_to_probabilities(client, way, response, truth):
    assert way(client, response, truth, "m").status_code == 200

    assert outcomes(client, "m") == (1, ["CLASS_2"], [[1]])
    assert counted(client) == RIGHT


@pytest.mark.parametrize("way", WAYS)
def test_probabilities_as_truth_next_to_a_label(client, way):
    assert way(client, [2], [[0, 0, 1]], "m").status_code == 200

    assert outcomes(client, "m") == (1, ["CLASS_2"], [[1]])
    assert counted(client) == RIGHT


@pytest.mark.parametrize("way", WAYS)
def test_labels_of_several_rows(client, way):
    response = [[0.1, 0.9], [0.8, 0.2], [0.6, 0.4]]
    assert way(client, response, [[1], [0], [1]], "m").status_code == 200

    assert outcomes(client, "m") == (3, ["CLASS_0", "CLASS_1"], [[1, 0], [1, 1]])


@pytest.mark.parametrize(
    ("response", "truth", "reason"),
    [
        (PROBABILITIES, [[0, 1]], "response has 3 values per row, and truth 2"),
        (PROBABILITIES, [[0, 0, 1, 0]], "response has 3 values per row, and truth 4"),
        (PROBABILITIES, [3], "label '3' is no position in a vector of 3 values"),
        (PROBABILITIES, [[-1]], "label '-1' is no position in a vector of 3 values"),
        (PROBABILITIES, [1.5], "label '1.5' is no position in a vector of 3 values"),
        (PROBABILITIES, ["setosa"], "label 'setosa' is no position in a vector of 3 values"),
        (PROBABILITIES, ["02"], "label '02' is no position in a vector of 3 values"),
        (["setosa"], [[0, 1]], "label 'setosa' is no position in a vector of 2 values"),
        (PROBABILITIES * 2, [1, 0], "truth is one vector of several values; labels of several row"),
        (PROBABILITIES * 3, [2, 0, 1], "truth is one vector of several values"),
    ],
)
def test_what_is_no_truth_of_this_answer_is_refused(client, stored, response, truth, reason):
    answer = together(client, response, truth, "m")

    assert answer.status_code == 400
    assert answer.json["detail"].startswith(reason)
    assert set(stored().values()) == {0}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("truth", [[2, 0], [0, 1, 2], [-1, 0]])
def test_labels_of_several_rows_in_a_flat_list_are_refused_on_every_way(client, way, truth):
    """It would be one vector, and the place of its largest the class of the first row."""
    assert way(client, PROBABILITIES * 2, truth, "m").status_code == 400


def test_of_several_rows_one_that_is_no_place_costs_no_other(client):
    answer = together(client, PROBABILITIES * 3, [[2], [7], [2]], "m")

    assert (answer.status_code, answer.headers["Truthline-Refused"]) == (200, "rows=1")
    assert outcomes(client, "m") == (2, ["CLASS_2"], [[2]])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("truth", [[2], [[2]]])
def test_where_vectors_are_configured_a_vector_of_one_value_is_none(
    app, database, workspace, tmp_path, way, truth
):
    server = {"storage_uri": "MulticlassOneHot"}
    client = keyed_client(configured(app, database, tmp_path, server), workspace.admin_key)
    answer = way(client, PROBABILITIES, truth, "m")

    assert answer.status_code == 400
    assert answer.json["detail"].startswith("MulticlassOneHot expects a vector of several values")


# --- whatever the shapes are ----------------------------------------------------------------

WIDTHS = st.integers(2, 4)
PLACES = st.integers(0, 4)
ROWS = st.integers(1, 3)


@st.composite
def vectors(draw):
    """Rows of probabilities, or one-hot rows; one row may be flat."""
    width, rows = draw(WIDTHS), draw(ROWS)
    of_row = st.integers(0, width - 1).map(
        lambda at: [0.9 if n == at else 0.05 for n in range(width)]
    )
    made = draw(st.lists(of_row, min_size=rows, max_size=rows))
    if draw(st.booleans()):
        made = [[1 if value == 0.9 else 0 for value in row] for row in made]
    return made[0] if rows == 1 and draw(st.booleans()) else made


@st.composite
def labels(draw):
    """Labels of rows, in lists of one; a single one may be flat."""
    kind = draw(st.sampled_from([int, float, str]))
    made = [[kind(place)] for place in draw(st.lists(PLACES, min_size=1, max_size=3))]
    return made[0] if len(made) == 1 and draw(st.booleans()) else made


@pytest.fixture(scope="module")
def runs():
    return iter(range(10**6))


@examples(20, thorough=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(response=vectors() | labels(), truth=vectors() | labels())
def test_every_way_comes_to_the_same_or_is_refused(client, runs, response, truth):
    run = next(runs)
    names = [f"m{run}-{way.__name__}" for way in WAYS]
    answers = [way(client, response, truth, name) for way, name in zip(WAYS, names, strict=True)]

    if answers[0].status_code == 400 or "Truthline-Refused" in answers[0].headers:
        return
    found = [outcomes(client, name) for name in names]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert found[0] == found[1] == found[2]
