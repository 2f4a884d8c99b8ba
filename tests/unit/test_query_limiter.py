"""How many queries a workspace may run concurrently."""

import pytest

from app.api.http.query_limiter import QueryLimiter
from app.config import Settings
from app.errors import Busy

US, THEM = 1, 2


@pytest.fixture
def limiter():
    return QueryLimiter(Settings(max_questions=2, max_buckets_at_once=1000))


def test_a_workspace_has_so_many_questions_and_others_have_theirs(limiter):
    limiter.start(US)
    limiter.start(US)
    limiter.start(THEM)

    with pytest.raises(Busy):
        limiter.start(US)
    limiter.finish(US, 0)
    limiter.start(US)


def test_buckets_add_up_and_the_first_question_may_have_any(limiter):
    limiter.start(US)
    limiter.add_buckets(US, 1500)
    limiter.start(US)
    with pytest.raises(Busy):
        limiter.add_buckets(US, 600)
    limiter.finish(US, 1500)

    limiter.add_buckets(US, 600)


def test_all_together_have_no_more_than_two(limiter):
    for workspace in (US, THEM):
        limiter.start(workspace)
        limiter.add_buckets(workspace, 1000)

    limiter.start(3)
    with pytest.raises(Busy):
        limiter.add_buckets(3, 1)


def test_nothing_is_remembered_of_who_has_no_question(limiter):
    limiter.start(US)
    limiter.add_buckets(US, 700)
    limiter.finish(US, 700)

    assert not limiter._queries
    assert not limiter._buckets
