-- levels: how far each level may be trusted, where app/rollup/fold.py keeps them.
--
-- Grain    one row per level.
-- Units    every row received before `clean_until` is in the level; -infinity where none is.
-- Exact    the bound moves in the transaction that folds, so that whoever reads the bound and
--          the cells in one snapshot sees both or neither.
CREATE OR REPLACE FUNCTION truthline.levels()
RETURNS TABLE (name text, subject text, event_width interval, learned_width interval,
               clean_until timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT name, subject, event_width, learned_width, learned_until
    FROM truthline_data.level
    ORDER BY place
$$;
COMMENT ON FUNCTION truthline.levels() IS
    'The levels, and until when each holds every row that was received.';
