"""Requests as the client lists them, compared with what was sent."""

from datetime import UTC, datetime, timedelta

import pytest
from truthline import NotFound, Request, RequestPage

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
LABELS = ["cat", "dog", "cat", "dog", "cat"]


@pytest.fixture
def pets(truthline):
    """Five predictions; three have a truth, one of them a corrected one."""
    rows = [
        {
            "request_id": n,
            "time": START + n * timedelta(hours=1),
            "label": label,
            "confidence": n / 4,
        }
        for n, label in enumerate(LABELS)
    ]
    truthline.send_predictions(rows, model="pets", version="2")
    for n, label in ((0, "cat"), (1, "cat"), (2, "cat"), (2, "dog")):
        truthline.send_feedback([{"request_id": n, "label": label}], model="pets")
    return truthline


def ids(requests):
    return "".join(one.request_id for one in requests)


def test_filters_list_what_was_sent(pets):
    hour = timedelta(hours=1)
    for asked, wanted in (
        ({}, "43210"),
        ({"wrong": True}, "21"),
        ({"wrong": False}, "0"),
        ({"unlabelled": True}, "43"),
        ({"predicted_label": "cat", "actual_label": "dog"}, "2"),
        ({"min_confidence": 0.25, "max_confidence": 0.5}, "21"),
        ({"start": START + hour, "end": START + 3 * hour}, "21"),
        ({"failed": True}, ""),
        ({"version": 2, "unlabelled": False}, "210"),
    ):
        assert ids(pets.requests("pets", **asked)) == wanted, asked
        assert ids(pets.requests("pets", **asked, page_size=2)) == wanted, asked


def test_an_iteration_begins_anew_and_fetches_as_it_goes(pets):
    listed = pets.requests("pets", page_size=2)
    pages = listed.pages()
    first = next(pages)
    pets.send_predictions(
        [{"request_id": "new", "time": START - timedelta(days=1), "label": "cat"}], model="pets"
    )

    assert isinstance(first, RequestPage)
    assert [len(page.requests) for page in pages] == [2, 1]
    assert ids(listed) == "43210new"
    assert listed.to_pandas(most=3)["request_id"].tolist() == ["4", "3", "2"]
    assert list(listed.to_pandas().columns) == list(Request.__dataclass_fields__)


def test_the_history_has_every_truth(pets):
    history = pets.request(2, model="pets")

    (made,) = history.predictions
    assert (made.model, made.version, made.predicted_label, made.wrong) == (
        "pets",
        "2",
        "cat",
        True,
    )
    assert [truth.label for truth in made.truths] == ["cat", "dog"]
    assert made.truths[0].replaced_at <= made.truths[1].learned_at == made.learned_at
    assert (made.corrected, made.kept, history.pending) == (True, True, ())
    with pytest.raises(NotFound, match="no request 9"):
        pets.request(9)
