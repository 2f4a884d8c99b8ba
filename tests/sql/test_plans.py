"""Views of rows stay quick: barriers don't keep conditions from chunks and indexes."""

import pytest

from tests.servers import edition

ASKED = "workspace = 'default' AND model = 'digits'"


@pytest.fixture
def plan(analyst):
    """The plan of a query, as an analyst is shown it."""

    def plan(query):
        return "\n".join(
            line for (line,) in analyst.execute(f"EXPLAIN (ANALYZE, COSTS off) {query}")
        )

    return plan


@pytest.mark.skipif(edition() == "postgres", reason="plain tables have no chunks")
@pytest.mark.parametrize("view", ["predictions", "outcomes"])
def test_a_span_of_the_learned_clock_leaves_out_chunks(plan, view, demo):
    """The rows of a day before lie in a chunk of a day before, whenever midnight was."""
    query = f"SELECT count(*) FROM truthline.{view} WHERE {ASKED}"
    everything = plan(query)
    nothing = plan(f"{query} AND received_at < now() - INTERVAL '3 days'")
    newest = plan(f"{query} AND received_at >= '{demo.start.isoformat()}'")

    assert chunks(everything) >= 2
    assert chunks(nothing) == 0
    assert 0 < chunks(newest) < chunks(everything)


def chunks(plan):
    """How many chunks a plan reads."""
    read = [line for line in plan.splitlines() if "never executed" not in line]
    return len({word for line in read for word in line.split() if word.startswith("_hyper_")})


@pytest.mark.skipif(edition() != "postgres", reason="the demo's chunks are in the columnstore")
def test_a_series_and_a_span_of_time_are_found_by_index(plan, superuser):
    shown = plan(
        f"SELECT * FROM truthline.predictions WHERE {ASKED} AND version = 'v1'"
        " AND time >= now() - INTERVAL '5 minutes'"
    )
    assert "prediction_series_time" in shown
    assert "Seq Scan on prediction" not in shown


def test_what_is_not_asked_for_is_not_joined(plan):
    shown = plan(f"SELECT count(*) FROM truthline.outcomes WHERE {ASKED}")
    assert "label" not in shown
