-- Drop the public functions and views, to be made anew from sql/views/ in the same transaction.
--
-- Why      the schema itself stays: usage granted on it stays too.
DO $$
DECLARE
    item text;
BEGIN
    FOR item IN
        SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', oid::regprocedure)
        FROM pg_proc WHERE pronamespace = 'truthline'::regnamespace
        UNION ALL
        SELECT format('DROP VIEW IF EXISTS %s CASCADE', oid::regclass)
        FROM pg_class
        WHERE relkind = 'v' AND relnamespace = 'truthline'::regnamespace
    LOOP
        EXECUTE item;
    END LOOP;
END
$$;
