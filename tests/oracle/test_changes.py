"""What changed: a planted slice is named first, and effects equal those of plain fractions."""

from fractions import Fraction

import pytest
from sqlalchemy import text

TRIALS = 100
# Each trial is a model with eighteen combinations of tags. In its second hour, one value of one tag
# is right less often: one in five truths of it, picked by a hash, is wrong in addition.
PLANT = text("""
    WITH trial AS (
        SELECT t, CASE t % 3 WHEN 0 THEN 'country' WHEN 1 THEN 'device' ELSE 'plan' END AS key,
               CASE t % 3 WHEN 0 THEN 'c' || t % 3 WHEN 1 THEN 'd' || t % 2 ELSE 'p' || t % 3 END
                   AS value
        FROM generate_series(1, :trials) AS t
    ),
    label AS (
        INSERT INTO truthline_data.label (workspace_id, name) VALUES (:workspace, 'no'),
            (:workspace, 'yes') RETURNING id
    ),
    model AS (
        INSERT INTO truthline_data.model (workspace_id, namespace, pipeline, name, kind)
        SELECT :workspace, '', '', 'trial-' || t, 'classification' FROM trial RETURNING id, name
    ),
    series AS (
        INSERT INTO truthline_data.series (
            model_id, deployment, version, deployment_type, server_version, tags)
        SELECT id, '', '', '', '', jsonb_build_object(
            'country', 'c' || c, 'device', 'd' || d, 'plan', 'p' || p)
        FROM model, generate_series(0, 2) AS c, generate_series(0, 1) AS d,
             generate_series(0, 2) AS p
        RETURNING id, model_id, tags
    ),
    outcome AS (
        INSERT INTO truthline_data.outcome (
            time, series_id, predicted_label, actual_label, weight, batch_index, request_id)
        SELECT TIMESTAMPTZ '2026-01-01Z' + hour * INTERVAL '1 hour' + n * INTERVAL '1 second',
               series.id, CASE WHEN is_wrong THEN other.id ELSE own.id END, own.id,
               1, 0, hour || '-' || n
        FROM series JOIN model ON model.id = series.model_id
        JOIN trial ON model.name = 'trial-' || trial.t
        CROSS JOIN generate_series(0, 1) AS hour CROSS JOIN generate_series(1, 100) AS n
        CROSS JOIN LATERAL (
            SELECT abs(hashint8(series.id * 1000003::bigint + hour * 7919 + n) % 100)
                   < 10 + CASE WHEN hour = 1 AND series.tags ->> trial.key = trial.value
                               THEN 20 ELSE 0 END) AS judged (is_wrong)
        JOIN (SELECT id, row_number() OVER () AS nth FROM label) AS own ON own.nth = 1 + n % 2
        JOIN (SELECT id, row_number() OVER () AS nth FROM label) AS other ON other.nth = 2 - n % 2
    )
    SELECT model.id, trial.key, trial.value
    FROM model JOIN trial ON model.name = 'trial-' || trial.t
""")
FIRST = text("""
    SELECT changed.*
    FROM (SELECT array_agg(id) AS ids FROM truthline_data.series WHERE model_id = :model) AS series
    CROSS JOIN LATERAL truthline_internal.changes(
        'accuracy', ids, CAST('{2026-01-01Z,2026-01-01T01:00Z}' AS timestamptz[]), 'infinity',
        ids, CAST('{2026-01-01T01:00Z,2026-01-01T02:00Z}' AS timestamptz[]), 'infinity') AS changed
""")


def effects(rows):
    """The rate and mix effect of each part of a division, as exact fractions."""
    n, m = (sum(getattr(row, side) for row in rows) for side in ("a_n", "b_n"))
    hits = [(round(row.a * row.a_n), round(row.b * row.b_n)) for row in rows]
    whole = (Fraction(sum(a for a, _ in hits), n) + Fraction(sum(b for _, b in hits), m)) / 2
    for row, (a, b) in zip(rows, hits, strict=True):
        before, after = Fraction(a, row.a_n), Fraction(b, row.b_n)
        share, moved = Fraction(row.a_n, n), Fraction(row.b_n, m)
        yield (
            float((share + moved) / 2 * (after - before)),
            float((moved - share) * ((before + after) / 2 - whole)),
        )


def test_a_planted_slice_is_named_first_in_95_of_100_trials(database, workspace):
    with database.writing() as conn:
        planted = conn.execute(PLANT, {"trials": TRIALS, "workspace": workspace.id}).all()
    named = 0
    with database.reading() as conn:
        for model, key, value in planted:
            rows = conn.execute(FIRST, {"model": model}).all()
            named += (rows[0].key, rows[0].value) == (key, value)
            for division in {row.key for row in rows if row.division == "tag"}:
                parts = [row for row in rows if row.key == division]
                assert sum(row.effect for row in parts) == pytest.approx(rows[0].change, abs=1e-15)
                found = [(row.rate_effect, row.mix_effect) for row in parts]
                for ours, theirs in zip(found, effects(parts), strict=True):
                    assert ours == pytest.approx(theirs, abs=1e-14)

    assert len(planted) == TRIALS
    assert named >= 95
