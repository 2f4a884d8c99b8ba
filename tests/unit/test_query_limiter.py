"""How much one workspace may take at once."""

import pytest

from app.api.http.turns import Turns
from app.config import Settings
from app.errors import Busy

US, THEM = 1, 2


@pytest.fixture
def turns():
    return Turns(Settings(max_questions=2, max_buckets_at_once=1000))


def test_a_workspace_has_so_many_questions_and_others_have_theirs(turns):
    turns.begin(US)
    turns.begin(US)
    turns.begin(THEM)

    with pytest.raises(Busy):
        turns.begin(US)
    turns.end(US, 0)
    turns.begin(US)


def test_buckets_add_up_and_the_first_question_may_have_any(turns):
    turns.begin(US)
    turns.charge(US, 1500)
    turns.begin(US)
    with pytest.raises(Busy):
        turns.charge(US, 600)
    turns.end(US, 1500)

    turns.charge(US, 600)


def test_all_together_have_no_more_than_two(turns):
    for workspace in (US, THEM):
        turns.begin(workspace)
        turns.charge(workspace, 1000)

    turns.begin(3)
    with pytest.raises(Busy):
        turns.charge(3, 1)


def test_nothing_is_remembered_of_who_has_no_question(turns):
    turns.begin(US)
    turns.charge(US, 700)
    turns.end(US, 700)

    assert not turns._questions
    assert not turns._buckets
