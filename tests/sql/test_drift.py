"""Drift by name is drift by id, and refuses what it does not know."""

from datetime import timedelta

import pytest
from psycopg.errors import InvalidParameterValue

from tests.sql.near import near

QUANTITIES = ("predicted_label", "actual_label", "confidence", "value", "latency")
SERIES = """
    (SELECT array_agg(s.id) FROM truthline_data.series AS s
     JOIN truthline_data.model AS m ON m.id = s.model_id
     WHERE m.name = 'digits' AND s.version = coalesce(%(version)s, s.version))
"""


@pytest.fixture
def ask(superuser, demo):
    """The rows of a query of the demo's halves; `v2` is side B's version."""
    middle = demo.start + (demo.end - demo.start) / 2
    window = {"start": demo.start, "middle": middle, "end": demo.end}

    def ask(query, **parameters):
        return superuser.execute(query, window | {"version": None} | parameters).fetchall()

    return ask


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("version", [None, "v2"])
def test_drift_by_name_is_that_by_id(ask, quantity, version):
    asked = {"quantity": quantity, "version": version, "width": timedelta(minutes=20)}
    named = ask(
        """
        SELECT statistic, value, noise, p_value, a_n, b_n FROM truthline.drift(
            'default', 'digits', %(quantity)s, %(start)s, %(middle)s, %(middle)s, %(end)s,
            %(width)s, b_version => %(version)s)
        """,
        **asked,
    )
    by_id = ask(
        f"""
        SELECT s.*, d.a_n, d.b_n
        FROM truthline_internal.edges(%(middle)s, %(end)s, %(width)s) AS edges
        CROSS JOIN LATERAL truthline_internal.drift(
            %(quantity)s, (SELECT array_agg(s.id) FROM truthline_data.series AS s
                           JOIN truthline_data.model AS m ON m.id = s.model_id
                           WHERE m.name = 'digits'), ARRAY[%(start)s, %(middle)s], 'infinity',
            {SERIES}, edges, 'infinity') AS d
        CROSS JOIN LATERAL unnest(d.statistics, d."values", d.noises, d.p_values) AS s
        ORDER BY d.place
        """,
        **asked,
    )
    assert named == [(row[0], *map(near, row[1:4]), *row[4:]) for row in by_id]
    assert len(named) >= 5

    parts = ask(
        """
        SELECT sum(a), sum(b) FROM truthline.drift_parts(
            'default', 'digits', %(quantity)s, %(start)s, %(middle)s, %(middle)s, %(end)s,
            b_version => %(version)s)
        """,
        **asked,
    )
    ((a_n, b_n),) = ask(
        """
        SELECT DISTINCT a_n, b_n FROM truthline.drift(
            'default', 'digits', %(quantity)s, %(start)s, %(middle)s, %(middle)s, %(end)s,
            b_version => %(version)s, statistics => '{psi}')
        """,
        **asked,
    )
    assert [(int(a or 0), int(b or 0)) for a, b in parts] == [(a_n, b_n)]


@pytest.mark.parametrize("metric", ["accuracy", "error_rate", "mean_confidence", "mean_latency"])
def test_effects_by_name_add_up(ask, metric):
    rows = ask(
        """
        SELECT division, key, sum(effect), min(change), max(change)
        FROM truthline.changes('default', 'digits', %(metric)s, %(start)s, %(middle)s, %(middle)s,
                               %(end)s)
        GROUP BY 1, 2
        """,
        metric=metric,
    )
    assert rows
    for *_, effects, least, most in rows:
        assert least == most
        assert effects == pytest.approx(least, abs=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        "drift('default', 'digits', 'mood', %(start)s, %(middle)s, %(middle)s, %(end)s)",
        "drift('default', 'digits', 'value', now(), now(), now(), now(), statistics => '{mean}')",
        "changes('default', 'digits', 'f1', %(start)s, %(middle)s, %(middle)s, %(end)s)",
    ],
)
def test_what_is_unknown_is_refused(ask, call):
    with pytest.raises(InvalidParameterValue):
        ask(f"SELECT * FROM truthline.{call}")
