-- Drops the public functions and views and the machinery under them, to be recreated from sql/views/ in
-- the same transaction.
--
-- Why      schema truthline itself stays, and with it the USAGE granted on it. Views are dropped first,
--          because they depend on functions; and all names are read before anything is dropped.
DO $$
DECLARE
    statements text[] := ARRAY(
        SELECT format('DROP VIEW IF EXISTS %s CASCADE', oid::regclass) FROM pg_class
        WHERE relkind = 'v' AND relnamespace = 'truthline'::regnamespace
    ) || ARRAY(
        SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', oid::regprocedure) FROM pg_proc
        WHERE pronamespace = 'truthline'::regnamespace
    );
    statement text;
BEGIN
    FOREACH statement IN ARRAY statements LOOP
        EXECUTE statement;
    END LOOP;
    DROP SCHEMA IF EXISTS truthline_internal CASCADE;
    -- they have no version now; migrations/rerunnable.py reads the comment
    EXECUTE format('COMMENT ON SCHEMA truthline IS %L',
                   obj_description('truthline'::regnamespace, 'pg_namespace') || ' dropped');
END
$$;
