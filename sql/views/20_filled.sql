-- filled_levels: how far each level is filled, where app/rollup/fold.py fills them.
--
-- Grain    one row per level.
-- Units    a level holds every row received before `filled_until`; -infinity if it holds none.
-- Exact    the transaction that folds also moves the bound, so that a snapshot holds both the bound
--          and the cells, or neither.
CREATE OR REPLACE FUNCTION truthline_internal.filled_levels()
RETURNS TABLE (name text, filled_until timestamptz) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT name, learned_until FROM truthline_data.level
$$;
COMMENT ON FUNCTION truthline_internal.filled_levels() IS
    'How far each level is filled, before any audit.';

-- written_tables: tables that a writer of `source` locks: the raw table or level and, if it is a
-- hypertable, its chunks.
CREATE OR REPLACE FUNCTION truthline_internal.written_tables(source text) RETURNS SETOF oid
LANGUAGE sql STABLE AS $$
    WITH root AS (SELECT to_regclass(format('truthline_data.%I', source))::oid AS id)
    SELECT id FROM root
    UNION ALL
    SELECT inhrelid FROM pg_inherits JOIN root ON inhparent = id
$$;
COMMENT ON FUNCTION truthline_internal.written_tables(text) IS
    'Tables that a writer of a raw table or level locks.';
