-- outcome_measure: what one outcome adds to a cell. For folding and for the raw parts of an
-- answer, so that both count alike.
--
-- Grain    one row per outcome.
-- Units    `n` is +1 or -1; error is |predicted - actual|, in the model's own unit.
-- Why      errors are numeric: a corrected truth takes back exactly what it had added, however
--          large the mistake was. Sums of double precision would keep its rounding.
--          Errors below 1e-150 count as 0: their squares are no doubles, and PostgreSQL raises.
CREATE OR REPLACE VIEW truthline_data.outcome_measure AS
SELECT o.received_at, o.time, o.series_id, o.predicted_label, o.actual_label,
       o.weight::bigint AS n,
       o.weight * e.error::numeric AS absolute_error,
       o.weight * power(e.error, 2)::numeric AS squared_error
FROM truthline_data.outcome AS o
CROSS JOIN LATERAL (SELECT abs(o.predicted_value - o.actual_value)) AS d (difference)
CROSS JOIN LATERAL (
    SELECT CASE WHEN d.difference < 1e-150 THEN 0 ELSE d.difference END
) AS e (error);
COMMENT ON VIEW truthline_data.outcome_measure IS 'What one outcome adds to a cell.';

-- event_hour: the hour of the event clock that an instant lies in; the grid of all levels.
CREATE OR REPLACE FUNCTION truthline.event_hour(at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT date_bin(INTERVAL '1 hour', at, TIMESTAMPTZ '2000-01-03 00:00:00+00')
$$;
COMMENT ON FUNCTION truthline.event_hour(timestamptz) IS 'The hour an instant lies in, in UTC.';

-- clean_until: how far a level may be trusted.
--
-- Units    every outcome received before it is in the level; -infinity where none is.
CREATE OR REPLACE FUNCTION truthline.clean_until(level text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT l.learned_until FROM truthline_data.level AS l WHERE l.name = clean_until.level
$$;
COMMENT ON FUNCTION truthline.clean_until(text) IS
    'The instant before which every row received is in the level.';
