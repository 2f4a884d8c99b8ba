"""Metrics of scores equal scikit-learn's and plain Python, whatever was corrected on the way."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.inferences import Prediction
from app.ingest.predictions import ingest_predictions
from app.query.compare import compared_scores
from app.query.question import Question as Asked
from app.query.scores import curves, scores
from app.query.settle import settle
from app.query.subjects import Scope
from app.query.window import Grid, Window
from tests.effort import examples
from tests.oracle.plain import (
    Case,
    cases,
    declare,
    label_names,
    new_name,
    plain_buckets,
    tell,
    within,
)

EPSILON = 2.0**-52
FEW = 30
TOLERANCE = 1e-12


def told(database, workspace, case):
    return asked(database, given_in(database, workspace, case))


def given_in(database, workspace, case):
    """Send a case; returns its question."""
    name = new_name()
    declare(database, workspace.id, name, case.declared)
    tell(database, workspace.id, name, case)
    question = case.question
    return Asked(workspace.id, Scope(name), question.window, Grid(question.width))


def asked(database, question, function=scores, **options):
    with database.reading() as conn:
        return function(conn, database.registry, question, **options)


# --- plain answers ------------------------------------------------------------------------


def classes_of(case):
    """Every class that is declared, predicted, scored or true."""
    used = set(case.declared)
    for request in case.requests:
        used |= {truth for _, truth in request.truths}
        for answer in request.answers:
            scored = isinstance(answer.predicted, dict)
            used |= set(answer.predicted) if scored else {answer.predicted[0]}
    return used


def positive_of(case):
    """The positive class, None unless there are two classes."""
    used = classes_of(case)
    if len(used) != 2:
        return None
    return case.declared[1] if len(case.declared) == 2 else max(used)


def completed(predicted, classes):
    """Scores of all classes: 0 where none was sent, and what a confidence leaves to the other."""
    if isinstance(predicted, dict):
        return {name: predicted.get(name, 0.0) for name in classes}
    label, confidence = predicted
    return {name: confidence if name == label else 1 - confidence for name in classes}


def usable(case, pairs):
    """Scores of all classes and the truth, of the pairs that have any."""
    classes, binary = classes_of(case), positive_of(case) is not None
    return [
        (completed(predicted, classes), actual)
        for predicted, actual in pairs
        if binary or isinstance(predicted, dict)
    ]


def plain_log_loss(scored):
    losses = [-math.log(min(max(s[actual], EPSILON), 1 - EPSILON)) for s, actual in scored]
    return math.fsum(losses) / len(losses)


def plain_brier_score(scored, positive):
    if positive is not None:
        squares = [(s[positive] - (actual == positive)) ** 2 for s, actual in scored]
    else:
        squares = [(s[name] - (actual == name)) ** 2 for s, actual in scored for name in s]
    return math.fsum(squares) / len(scored)


def assert_ranked(bucket, scored, positive):
    """Ranks of a bucket equal those of all pairs, and of every threshold."""
    if positive is None:
        assert (bucket.n_positive, bucket.roc_auc, bucket.average_precision) == (None, None, None)
        return
    hits = [s[positive] for s, actual in scored if actual == positive]
    misses = [s[positive] for s, actual in scored if actual != positive]
    assert bucket.n_positive == len(hits)
    assert bucket.roc_auc == near(plain_roc_auc(hits, misses))
    assert bucket.average_precision == near(plain_average_precision(hits, misses))
    assert bucket.calibration_error == near(plain_calibration_error(hits, misses))


def near(number):
    return None if number is None else pytest.approx(number, abs=TOLERANCE)


def plain_roc_auc(hits, misses):
    if not hits or not misses:
        return None
    return sum((hit > miss) + (hit == miss) / 2 for hit in hits for miss in misses) / (
        len(hits) * len(misses)
    )


def plain_average_precision(hits, misses):
    if not hits:
        return None
    precision = [
        sum(other >= hit for other in hits) / sum(other >= hit for other in hits + misses)
        for hit in hits
    ]
    return math.fsum(precision) / len(hits)


def plain_calibration_error(hits, misses, n_parts=10):
    parts = {}
    for score, is_hit in [(hit, 1) for hit in hits] + [(miss, 0) for miss in misses]:
        part = sum(i * (1 / n_parts) < score for i in range(1, n_parts))
        parts.setdefault(part, []).append((score, is_hit))
    n = len(hits) + len(misses)
    gaps = [
        abs(math.fsum(s for s, _ in part) - sum(is_hit for _, is_hit in part))
        for part in parts.values()
    ]
    return math.fsum(gaps) / n if n else None


# --- cases --------------------------------------------------------------------------------

shares = st.one_of(
    st.sampled_from([0.0, 1.0, 0.5, 0.25, 1e-300, 5e-324, 1 - EPSILON, EPSILON / 2]),
    st.floats(0, 1),
)


def predictions(names):
    """Scores of some classes, which need not add up to 1; or one class with its confidence."""
    some = st.dictionaries(st.sampled_from(names), shares, min_size=1)
    return st.one_of(some, st.tuples(st.sampled_from(names), shares))


@st.composite
def scored_cases(draw: st.DrawFn) -> Case:
    """Two classes or more, which are declared or not."""
    names = draw(
        st.lists(label_names, min_size=2, max_size=draw(st.sampled_from([2, 4])), unique=True)
    )
    declared = draw(st.one_of(st.just([]), st.permutations(names)))
    return draw(cases(predictions(names), st.sampled_from(names), declared))


@examples(100, thorough=700)
@given(case=scored_cases())
def test_every_bucket_equals_plain_python(database, workspace, case):
    answer = told(database, workspace, case)

    window, positive = case.question.window, positive_of(case)
    edges = plain_buckets(window.start, window.end, case.question.width)
    assert [(bucket.start, bucket.end) for bucket in answer.buckets] == edges
    assert answer.positive == positive
    for bucket in answer.buckets:
        scored = usable(case, within(case.pairs(), bucket.start, bucket.end))
        assert bucket.n == len(scored)
        assert_ranked(bucket, scored, positive)
        if not scored:
            assert (bucket.log_loss, bucket.brier_score) == (None, None)
            continue
        assert bucket.log_loss == pytest.approx(plain_log_loss(scored), abs=TOLERANCE)
        assert bucket.brier_score == pytest.approx(
            plain_brier_score(scored, positive), abs=TOLERANCE
        )


@st.composite
def probabilities(draw: st.DrawFn, names: list[str]) -> dict[str, float]:
    """Scores of all classes that add up to 1 as softmax makes them."""
    weights = draw(st.lists(st.floats(0.001, 1), min_size=len(names), max_size=len(names)))
    return {name: weight / sum(weights) for name, weight in zip(names, weights, strict=True)}


@examples(50, thorough=300)
@given(data=st.data(), names=st.sampled_from([["no", "yes"], ["a", "b", "c"]]))
def test_every_metric_equals_scikit_learn(database, workspace, data, names):
    case = data.draw(cases(probabilities(names), st.sampled_from(names), names))

    for bucket in told(database, workspace, case).buckets:
        pairs = within(case.pairs(), bucket.start, bucket.end)
        if pairs:
            matrix = np.array([[predicted[name] for name in names] for predicted, _ in pairs])
            actual = [truth for _, truth in pairs]
            assert bucket.log_loss == pytest.approx(
                log_loss(actual, matrix, labels=names), abs=TOLERANCE
            )
            assert bucket.brier_score == pytest.approx(
                sklearn_brier_score(actual, matrix, names), abs=TOLERANCE
            )
            if len(names) == 2:
                assert_ranked_as_by_scikit_learn(bucket, actual, matrix[:, 1], names[1])


def assert_ranked_as_by_scikit_learn(bucket, actual, of_positive, positive):
    hits = [label == positive for label in actual]
    both = len(set(hits)) == 2
    assert bucket.roc_auc == near(roc_auc_score(hits, of_positive) if both else None)
    assert bucket.average_precision == near(
        average_precision_score(hits, of_positive) if any(hits) else None
    )


def sklearn_brier_score(actual, matrix, names):
    if len(names) == 2:
        return brier_score_loss(actual, matrix[:, 1], pos_label=names[1], labels=names)
    return brier_score_loss(actual, matrix, labels=names)


@examples(40, thorough=300)
@given(data=st.data())
def test_curves_equal_scikit_learn(database, workspace, data):
    names = ["no", "yes"]
    case = data.draw(cases(probabilities(names), st.sampled_from(names), names))
    question = given_in(database, workspace, case)

    answer = asked(database, question, curves)
    pairs = within(case.pairs(), question.window.start, question.window.end)
    hits = [truth == "yes" for _, truth in pairs]
    found = [(p.threshold, p.false_positive_rate, p.recall) for p in answer.points]
    thresholds = sorted({predicted["yes"] for predicted, _ in pairs}, reverse=True)
    assert [threshold for threshold, *_ in found] == thresholds
    if len(set(hits)) == 2:
        of_positive = [predicted["yes"] for predicted, _ in pairs]
        false, true, at = roc_curve(hits, of_positive, drop_intermediate=False)
        assert found == list(zip(at[1:], false[1:], true[1:], strict=True))
        precision, recall, at = precision_recall_curve(hits, of_positive)
        ours = [(p.threshold, p.precision, p.recall) for p in reversed(answer.points)]
        assert ours == list(zip(at, precision[:-1], recall[:-1], strict=True))

    some = data.draw(st.lists(shares, min_size=1, max_size=5))
    for point in asked(database, question, curves, thresholds=some).points:
        above = [truth == "yes" for s, truth in pairs if s["yes"] >= point.threshold]
        assert (point.true_positives, point.false_positives) == (sum(above), above.count(False))
        assert point.true_positives + point.false_negatives == sum(hits)


@examples(40, thorough=300)
@given(
    hits=st.lists(st.sampled_from([0.1, 0.2, 0.35, 0.5, 0.8, 0.95]), min_size=5, max_size=40),
    misses=st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.7, 0.95]), min_size=5, max_size=40),
)
def test_intervals_equal_plain_formulas(database, workspace, hits, misses):
    name = new_name()
    told = [(score, "yes") for score in hits] + [(score, "no") for score in misses]
    start = datetime(2026, 3, 1, tzinfo=UTC)
    send_over_time(database, workspace, name, [(start, *row) for row in told])

    question = Asked(workspace.id, Scope(name), Window(start, start + timedelta(hours=1)), Grid())
    (bucket,) = asked(database, question, confidence=0.9).buckets
    if len(told) < FEW:
        assert set(bucket.intervals.values()) == {None}
        return
    area, error = plain_delong(np.array(hits), np.array(misses))
    assert bucket.roc_auc == near(area)
    assert_bounds(bucket.intervals["roc_auc"], logit_bounds(area, error, 0.9))
    losses = [(score - (label == "yes")) ** 2 for score, label in told]
    error = np.std(losses, ddof=1) / math.sqrt(len(losses))
    t = scipy.stats.t.ppf(0.95, len(losses) - 1)
    bounds = (bucket.brier_score - t * error, bucket.brier_score + t * error)
    assert_bounds(bucket.intervals["brier_score"], bounds if error > 0 else None)
    precision = plain_average_precision(hits, misses)
    error = math.sqrt(precision * (1 - precision) / len(hits))
    assert_bounds(bucket.intervals["average_precision"], logit_bounds(precision, error, 0.9))
    losses = [plain_log_loss([({"yes": score, "no": 1 - score}, label)]) for score, label in told]
    mean = np.mean(losses)
    reach = scipy.stats.norm.ppf(0.95) * np.std(losses, ddof=1) / math.sqrt(len(losses)) / mean
    assert_bounds(
        bucket.intervals["log_loss"],
        (mean * math.exp(-reach), mean * math.exp(reach)) if reach > 0 else None,
    )


def plain_delong(hits, misses):
    """The area, and its standard error by the definition of placements."""
    pairs = (hits[:, None] > misses) + (hits[:, None] == misses) / 2
    variance = np.var(pairs.mean(axis=1), ddof=1) / len(hits)
    variance += np.var(pairs.mean(axis=0), ddof=1) / len(misses)
    return pairs.mean(), math.sqrt(variance)


def logit_bounds(area, error, confidence):
    if error < 1e-12 or not 0 < area < 1:
        return None
    z = scipy.stats.norm.ppf((1 + confidence) / 2)
    reach = z * error / (area * (1 - area))
    middle = math.log(area / (1 - area))
    return tuple(1 / (1 + math.exp(-(middle + side * reach))) for side in (-1, 1))


def assert_bounds(found, expected):
    if expected is None:
        assert found is None
    else:
        assert (found.low, found.high) == pytest.approx(expected, abs=1e-6)


def test_comparisons_equal_plain_formulas(database, workspace):
    """DeLong's areas by the z test, losses by Welch's, of two hours of one model."""
    chance = np.random.default_rng(3)
    name, start, told = new_name(), datetime(2026, 3, 1, tzinfo=UTC), []
    for hour, separation in enumerate((0.5, 1.5)):
        truths = np.arange(80) % 2
        made = scipy.stats.norm.cdf(chance.normal(size=80) + separation * truths).round(2)
        at = start + timedelta(hours=hour)
        told += [(at, float(s), "yes" if t else "no") for s, t in zip(made, truths, strict=True)]
    send_over_time(database, workspace, name, told)
    scope = Scope(name)
    hours = [Window(start + timedelta(hours=n), start + timedelta(hours=n + 1)) for n in (0, 1)]
    with database.reading() as conn:
        a, b = (settle(conn, Asked(workspace.id, scope, hour)) for hour in hours)
        found = {one.measure.name: one for one in compared_scores(conn, a, b, confidence=0.99)}
        same = compared_scores(conn, a, a, positive="no")
    sides = [
        [(s, t == "yes") for at, s, t in told if hour.start <= at < hour.end] for hour in hours
    ]
    (area, error), (other, other_error) = (
        plain_delong(*(np.array([s for s, hit in side if hit is of]) for of in (True, False)))
        for side in sides
    )
    z = (area - other) / math.hypot(error, other_error)
    auc = found["roc_auc"]
    assert (auc.a.value, auc.b.value) == (near(area), near(other))
    assert auc.p_value == pytest.approx(2 * scipy.stats.norm.sf(abs(z)), rel=1e-6)
    assert auc.distinguishable is (auc.p_value < 0.01)
    losses = [[(s - hit) ** 2 for s, hit in side] for side in sides]
    welch = scipy.stats.ttest_ind(*losses, equal_var=False)
    assert found["brier_score"].p_value == pytest.approx(welch.pvalue, rel=1e-6)
    losses = [[-math.log(s if hit else 1 - s) for s, hit in side] for side in sides]
    welch = scipy.stats.ttest_ind(*losses, equal_var=False)
    assert found["log_loss"].p_value == pytest.approx(welch.pvalue, rel=1e-6)
    assert found.keys() == {"roc_auc", "brier_score", "log_loss"}
    assert {one.verdict for one in same} == {
        "not comparable: both sides count the same predictions"
    }


def test_intervals_hold_the_true_values(database, workspace):
    """Of simulated histories; a bucket is a history of 120 truths, of which 30 % are positive."""
    chance = np.random.default_rng(7)
    start, histories = datetime(2026, 3, 1, tzinfo=UTC), 400
    separation = 1.0
    name = new_name()
    told = []
    for history in range(histories):
        truths = chance.random(120) < 0.3
        scores_ = scipy.stats.norm.cdf(chance.normal(size=120) + separation * truths)
        told += [
            (start + timedelta(hours=history), float(s), "yes" if t else "no")
            for s, t in zip(scores_, truths, strict=True)
        ]
    send_over_time(database, workspace, name, told)
    window = Window(start, start + timedelta(hours=histories))
    question = Asked(workspace.id, Scope(name), window, Grid(timedelta(hours=1)))
    buckets = asked(database, question, metrics=["roc_auc"], confidence=0.95).buckets
    for metric, true in true_values(0.3, separation).items():
        intervals = [bucket.intervals[metric] for bucket in buckets]
        held = sum(one.low <= true <= one.high for one in intervals)
        assert 0.93 <= held / histories <= 0.97, metric


def true_values(share, separation):
    """ROC AUC, average precision and log loss of normal scores of both classes, by integration."""
    at = np.linspace(-9, 9 + separation, 100_001)
    of_hits, of_misses = (scipy.stats.norm(mean) for mean in (separation, 0))
    recall, false = share * of_hits.sf(at), (1 - share) * of_misses.sf(at)
    hits, misses = of_hits.pdf(at), of_misses.pdf(at)
    losses = -share * hits * scipy.stats.norm.logcdf(at)
    losses -= (1 - share) * misses * scipy.stats.norm.logsf(at)
    return {
        "roc_auc": scipy.stats.norm.cdf(separation / math.sqrt(2)),
        "average_precision": np.trapezoid(recall / (recall + false) * hits, at),
        "log_loss": np.trapezoid(losses, at),
    }


def send_over_time(database, workspace, name, told):
    declare(database, workspace.id, name, ["no", "yes"])
    member = {"namespace": name.namespace, "pipeline": name.pipeline, "model": name.name}
    ingest_predictions(
        database,
        workspace.id,
        [
            Prediction(**member, request_id=f"r{n}", time=at, scores={"no": 1 - s, "yes": s})
            for n, (at, s, _) in enumerate(told)
        ],
    )
    ingest_feedback(
        database,
        workspace.id,
        [Feedback(**member, request_id=f"r{n}", label=t) for n, (_, _, t) in enumerate(told)],
    )
