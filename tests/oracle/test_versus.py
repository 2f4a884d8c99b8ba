"""One declared class of many against the rest: ranks and curves equal scikit-learn's."""

from dataclasses import dataclass
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from app.ingest.positive_class import declare_positive_class
from app.query.question import Question as Asked
from app.query.scores import curves
from app.query.subjects import Scope
from app.query.window import Grid
from tests.effort import examples
from tests.oracle.plain import ROUNDS, Case, cases, declare, new_name, tell
from tests.oracle.test_scores import asked, near, plain_calibration_error

CLASSES = ["a", "b", "c", "d"]
# Few values, so that most scores are ties.
coarse = st.sampled_from([0.0, 0.1, 0.25, 0.3, 1 / 3, 0.5, 0.75, 0.9, 1.0])
outputs = st.one_of(
    st.fixed_dictionaries(dict.fromkeys(CLASSES, st.one_of(coarse, st.floats(0, 1)))),
    st.dictionaries(st.sampled_from(CLASSES), coarse, min_size=1),
    st.tuples(st.sampled_from(CLASSES), coarse),  # a confidence alone
)


@dataclass(frozen=True)
class Told:
    """A case whose class is declared, and changed, before some of its rounds."""

    case: Case
    declared: tuple[str | None, ...]


@st.composite
def stories(draw: st.DrawFn) -> Told:
    """Truths before their predictions, late ones and corrections, around any declarations."""
    case = draw(cases(outputs, st.sampled_from(CLASSES), CLASSES, max_requests=40))
    each = st.sampled_from(["b", "b", "c", None])
    return Told(case, draw(st.tuples(*[each] * ROUNDS)))


def kept(told: Told, class_: str) -> list[tuple[datetime, float, bool]]:
    """When predictions were made with whose truth the class's score is kept, it, and if it hit.

    A truth is stored as soon as it and its prediction are there, and replaced by the next one that
    differs. Scores that were not sent are 0.
    """
    found = []
    for request in told.case.requests:
        for answer in request.answers:
            actual = of = None
            for number in range(answer.told_in, ROUNDS):
                latest = [truth for at, truth in request.truths if at <= number][-1:]
                if latest and latest[0] != actual:
                    actual, of = latest[0], told.declared[number]
            if of == class_ and isinstance(answer.predicted, dict):
                score = answer.predicted.get(class_, 0.0)
                found.append((answer.time, score, actual == class_))
    return found


def given_story(database, workspace, told):
    name = new_name()
    declare(database, workspace.id, name, CLASSES)

    def begin(number):
        declare_positive_class(database, workspace.id, name, told.declared[number])

    tell(database, workspace.id, name, told.case, begin)
    window = told.case.question.window
    return Asked(workspace.id, Scope(name), window, Grid(told.case.question.width))


@examples(40, thorough=400)
@given(told=stories())
def test_ranks_of_a_declared_class_equal_scikit_learn(database, workspace, told):
    question = given_story(database, workspace, told)

    for class_ in {*told.declared} - {None}:
        rows = kept(told, class_)
        answer = asked(database, question, positive=class_)
        assert answer.positive == class_
        for bucket in answer.buckets:
            within = [(s, hit) for at, s, hit in rows if bucket.start <= at < bucket.end]
            assert bucket.n - bucket.n_unranked == len(within)
            assert_ranked(bucket, within)
        start, end = question.window.start, question.window.end
        whole = [(score, hit) for at, score, hit in rows if start <= at < end]
        assert_curves(database, question, class_, whole)
    if told.declared[-1] is None:
        assert {bucket.roc_auc for bucket in asked(database, question).buckets} == {None}


def assert_ranked(bucket, within):
    of_class, hits = [score for score, _ in within], [hit for _, hit in within]
    assert bucket.n_positive == sum(hits)
    both = len(set(hits)) == 2
    assert bucket.roc_auc == near(roc_auc_score(hits, of_class) if both else None)
    precision = average_precision_score(hits, of_class) if any(hits) else None
    assert bucket.average_precision == near(precision)
    assert bucket.calibration_error == near(
        plain_calibration_error(
            [score for score, hit in within if hit], [score for score, hit in within if not hit]
        )
    )


def assert_curves(database, question, class_, whole):
    answer = asked(database, question, curves, positive=class_)
    of_class, hits = [score for score, _ in whole], [hit for _, hit in whole]
    assert [p.threshold for p in answer.points] == sorted(set(of_class), reverse=True)
    assert sum(part.n for part in answer.calibration) == len(whole)
    if len(set(hits)) == 2:
        false, true, at = roc_curve(hits, of_class, drop_intermediate=False)
        found = [(p.threshold, p.false_positive_rate, p.recall) for p in answer.points]
        assert found == list(zip(at[1:], false[1:], true[1:], strict=True))
        precision, recall, at = precision_recall_curve(hits, of_class)
        found = [(p.threshold, p.precision, p.recall) for p in reversed(answer.points)]
        assert found == list(zip(at, precision[:-1], recall[:-1], strict=True))
    for point in asked(database, question, curves, positive=class_, thresholds=[0.3, 0.9]).points:
        above = [hit for score, hit in whole if score >= point.threshold]
        assert (point.true_positives, point.false_positives) == (sum(above), above.count(False))
