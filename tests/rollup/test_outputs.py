"""Stats per class of a scope and a moment equal those of the whole model as of now."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from app.query.inferences import class_stats, model_stats, preceding
from app.query.outputs import class_outputs, latency_quantiles
from app.query.question import Question
from app.query.settle import look_up
from app.query.subjects import Scope, Selection
from app.query.window import Window
from app.store.registry import ModelName
from tests.demodata import DIGITS

FRACTIONS = (0.05, 0.5, 0.95)


@pytest.fixture(scope="module")
def asked(demo):
    """Answers about the demo's classifier, in one transaction each."""

    def answers(query, *, as_of=None, version=None, window=None):
        span = window or Window(demo.start, demo.end)
        with demo.database.reading() as conn:
            workspace_id = conn.execute(_OF_DEFAULT).scalar_one()
            scope = Scope(ModelName(*DIGITS), version=version)
            return query(conn, look_up(conn, Question(workspace_id, scope, span, as_of=as_of)))

    return answers


_OF_DEFAULT = text("SELECT id FROM workspace WHERE name = 'default'")


def outputs(conn, question):
    return class_outputs(conn, question, FRACTIONS)


def whole(conn, question):
    selection = question.about(Selection(models=[DIGITS.name]))
    return class_stats(conn, selection, fractions=FRACTIONS)


def test_the_classes_of_the_whole_model_are_those_of_the_inference_stats(asked, demo):
    span = Window(demo.start, demo.end)
    now, before = (asked(outputs, window=one) for one in (span, preceding(span)))
    stats = asked(whole)
    assert len(now) == 10
    assert {one.label for one in stats} == {one.label for one in (*now, *before)}
    for side, answer in (("now", now), ("previous", before)):
        by_label = {one.label: one for one in answer}
        for one in stats:
            got = by_label.get(one.label)
            for name in ("inferences", "outputs", "confidence", "latency"):
                expected = getattr(getattr(one, name), side)
                assert (getattr(got, name) if got else None) == expected, (side, name)
            if got and side == "now":
                assert (got.quantiles, got.model_inferences) == (
                    one.quantiles,
                    one.model_inferences.now,
                )


def test_versions_add_up_and_a_moment_counts_what_was_received_by_then(asked, demo):
    both = [asked(outputs, version=version) for version in ("v1", "v2")]
    total = sum(one.outputs for answer in both for one in answer)
    assert total == sum(one.outputs for one in asked(outputs))

    middle = demo.start + (demo.end - demo.start) / 2
    half = asked(outputs, window=Window(demo.start, middle))
    then = asked(outputs, as_of=middle)
    assert 0 < sum(one.outputs for one in then) <= sum(one.outputs for one in half)
    assert asked(outputs, as_of=datetime(2020, 1, 1, tzinfo=UTC)) == []


def test_latency_quantiles_are_those_of_the_model_stats(asked):
    def of_model(conn, question):
        selection = question.about(Selection(models=[DIGITS.name]))
        return model_stats(conn, selection, fractions=FRACTIONS)

    (stats,) = asked(of_model)
    assert asked(lambda conn, q: latency_quantiles(conn, q, FRACTIONS)) == stats.quantiles
    none = asked(
        lambda conn, q: latency_quantiles(conn, q, FRACTIONS),
        as_of=datetime(2020, 1, 1, tzinfo=UTC),
    )
    assert none is None
