"""Metrics of scores, expected from plain Python over the raw rows of outcomes."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, Row, text

from tests.rollup.plain import edges_of, raw_rows

# By bucket: how many (score, whether it is a hit) there are.
Ranked = dict[int, Counter[tuple[float, bool]]]

THRESHOLDS = [0.0, 0.25, 0.5, 0.7311, 1.0]
_EDGES = """truthline_internal.edges(
    CAST(:start AS timestamptz), CAST(:end AS timestamptz), CAST(:width AS interval),
    CAST(:origin AS timestamptz)), CAST(:as_of AS timestamptz), CAST(:class AS integer)"""
_ASK = {
    name: text(
        f"SELECT * FROM truthline_internal.{name}(:series, {_EDGES}{more}, one_vs_rest => :versus)"
    )
    for name, more in {
        "roc_auc": "",
        "average_precision": "",
        "calibration_error": "",
        "at_thresholds": ", CAST(:thresholds AS double precision[])",
    }.items()
}


def assert_ranked(conn: Connection, series: Sequence[int], question: Mapping[str, Any]) -> None:
    """Metrics of the predicted class, of one class and of declared ones equal those of the rows."""
    rows = raw_rows(conn, series)["outcome"]
    labels = sorted({row.predicted_label for row in rows} - {None})
    declared = sorted({row.class_label for row in rows} - {None})
    asked = [(None, False), *((class_, False) for class_ in labels[-1:])]
    for class_, versus in [*asked, *((class_, True) for class_ in declared[-1:])]:
        told = dict(question) | {"series": series, "class": class_, "thresholds": THRESHOLDS}
        told |= {"versus": versus}
        found = {name: conn.execute(ask, told).all() for name, ask in _ASK.items()}
        expected = ranked(rows, question, class_, versus=versus)
        assert {row[0]: row[1:] for row in found["roc_auc"]} == {
            place: (counts.total(), _hits(counts).total(), near(plain_roc_auc(counts)))
            for place, counts in expected.items()
        }
        assert dict(map(tuple, found["average_precision"])) == {
            place: near(plain_average_precision(counts))
            for place, counts in expected.items()
            if _hits(counts)
        }
        assert dict(map(tuple, found["calibration_error"])) == {
            place: near(plain_calibration_error(counts)) for place, counts in expected.items()
        }
        assert {row[:4] for row in found["at_thresholds"]} == {
            (place, at, _at_least(_hits(counts), at), _at_least(_misses(counts), at))
            for place, counts in expected.items()
            for at in THRESHOLDS
        }


def ranked(
    rows: Sequence[Row[Any]],
    question: Mapping[str, Any],
    class_: int | None,
    *,
    versus: bool = False,
) -> Ranked:
    """The scores that stand, by bucket; None is the predicted class, and a hit what was right.

    With `versus`, they are those that were kept of a declared class.
    """
    edges = edges_of(*(question[name] for name in ("start", "end", "width", "origin")))
    found: Ranked = {}
    for row in rows:
        known = question["as_of"] == "infinity" or row.received_at < question["as_of"]
        counted = row.class_label == class_ if versus else row.predicted_score is not None
        if known and counted and edges[0] <= row.time < edges[-1]:
            counts = found.setdefault(bisect_right(edges, row.time), Counter())
            counts[_kept(row) if versus else _score(row, class_)] += row.weight
    kept = {place: Counter({k: n for k, n in c.items() if n}) for place, c in found.items()}
    return {place: counts for place, counts in kept.items() if counts}


def _kept(row: Row[Any]) -> tuple[float, bool]:
    return row.class_score, row.actual_label == row.class_label


def _score(row: Row[Any], class_: int | None) -> tuple[float, bool]:
    if class_ in (None, row.predicted_label):
        return row.predicted_score, row.predicted_label == row.actual_label
    other = row.other_score
    if other is None:
        other = 1 - row.predicted_score if row.actual_score is None else 0.0
    return other, row.predicted_label != row.actual_label


def _hits(counts: Counter[tuple[float, bool]]) -> Counter[float]:
    return Counter({score: n for (score, is_hit), n in counts.items() if is_hit})


def _misses(counts: Counter[tuple[float, bool]]) -> Counter[float]:
    return Counter({score: n for (score, is_hit), n in counts.items() if not is_hit})


def _at_least(scores: Counter[float], threshold: float) -> int:
    return sum(n for score, n in scores.items() if score >= threshold)


def plain_roc_auc(counts: Counter[tuple[float, bool]]) -> float | None:
    """The share of pairs of a hit and a miss that are in order, halves for ties."""
    hits, misses = _hits(counts), _misses(counts)
    if not hits or not misses:
        return None
    pairs = sum(
        n * m * ((hit > miss) + (hit == miss) / 2)
        for hit, n in hits.items()
        for miss, m in misses.items()
    )
    return pairs / (hits.total() * misses.total())


def plain_average_precision(counts: Counter[tuple[float, bool]]) -> float:
    """The precision at the threshold of each hit, averaged."""
    hits, misses = _hits(counts), _misses(counts)
    precision = [
        n * _at_least(hits, hit) / (_at_least(hits, hit) + _at_least(misses, hit))
        for hit, n in hits.items()
    ]
    return math.fsum(precision) / hits.total()


def plain_calibration_error(counts: Counter[tuple[float, bool]], n_parts: int = 10) -> float:
    """Mean over truths of the gap between score and share of hits, in the part of the score."""
    parts: dict[int, list[float]] = {}
    for (score, is_hit), n in counts.items():
        part = sum(i * (1 / n_parts) < score for i in range(1, n_parts))
        parts.setdefault(part, []).append(n * (score - is_hit))
    return math.fsum(abs(math.fsum(gaps)) for gaps in parts.values()) / counts.total()


def near(number: float | None) -> Any:
    return None if number is None else pytest.approx(number, abs=1e-12)
