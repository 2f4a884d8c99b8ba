"""Views of rows stay fast for roles that read the tables: conditions still exclude chunks.

An analyst's plans show functions alone; those that take spans read no more than that.
"""

import pytest

from tests.servers import edition

ASKED = "workspace = 'default' AND model = 'digits'"


@pytest.fixture
def plan(superuser):
    """The plan of a query for a role that can read the tables."""

    def plan(query):
        return "\n".join(
            line for (line,) in superuser.execute(f"EXPLAIN (ANALYZE, COSTS off) {query}")
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
def test_a_series_and_a_span_of_time_are_found_by_index(plan):
    shown = plan(
        f"SELECT * FROM truthline.predictions WHERE {ASKED} AND version = 'v1'"
        " AND time >= now() - INTERVAL '5 minutes'"
    )
    assert "prediction_series_time" in shown
    assert "Seq Scan on prediction" not in shown


def test_tables_that_a_query_does_not_need_are_not_joined(plan):
    shown = plan(f"SELECT count(*) FROM truthline.outcomes WHERE {ASKED}")
    assert "label" not in shown


READ = """
    SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))
    FROM pg_stat_xact_all_tables
    WHERE schemaname IN ('truthline_data', '_timescaledb_internal')
"""


@pytest.mark.parametrize("name", ["predictions", "outcomes"])
def test_a_span_limits_what_an_analysts_function_reads(connect, analyst_role, name):
    """And it answers what the view does."""
    spans = ["'2000-01-01', '2100-01-01'", "now() - INTERVAL '40 minutes', now()"]
    read, answers = [], []
    for span in spans:
        with connect(analyst_role) as session, session.transaction():
            call = f"truthline.{name}('default', {span}, model => 'digits', version => 'v1')"
            answers.append(session.execute(f"SELECT count(*) FROM {call}").fetchone())
            read.append(session.execute(READ).fetchone()[0])
        start, end = span.split(", ")
        of_view = f"""
            SELECT count(*) FROM truthline.{name}
            WHERE {ASKED} AND version = 'v1' AND time >= {start} AND time < {end}
        """
        with connect(analyst_role) as session:
            assert session.execute(of_view).fetchone() == answers[-1]
    assert answers[1] < answers[0]
    if edition() != "community":  # whose columnstore counts batches of a thousand rows
        assert read[1] < read[0] / 2


@pytest.mark.parametrize("name", ["predictions", "outcomes"])
def test_either_span_of_a_function_bounds_the_rows(analyst, name):
    spans = {
        "received_from => now() - INTERVAL '5 hours'": "received_at >= now() - INTERVAL '5 hours'",
        "received_until => now() - INTERVAL '5 hours'": "received_at < now() - INTERVAL '5 hours'",
    }
    for span, condition in spans.items():
        with analyst.transaction():
            call = f"truthline.{name}('default', '-infinity', 'infinity', {span})"
            found = analyst.execute(f"SELECT t::text FROM {call} AS t").fetchall()
            expected = analyst.execute(
                f"SELECT t::text FROM truthline.{name} AS t WHERE {condition}"
            ).fetchall()
        assert sorted(found) == sorted(expected) != []
