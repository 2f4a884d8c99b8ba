-- summarize: summarizes the newest pages of a raw table's BRIN index on `received_at`.
--
-- Caller   app/rollup/recent.py, before it reads the newest rows
-- Why      pages that no vacuum has summarized are read in full by every query through the index, and
--          autovacuum waits until the table has grown by a fifth. Only whole ranges are summarized:
--          inserting into a summarized one would update its summary with each row.
-- Locks    like a vacuum; where one is running this gives up, before that one would be cancelled.
CREATE OR REPLACE PROCEDURE truthline_data.summarize(source text) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $procedure$
DECLARE
    pages_per_range CONSTANT integer := 32; -- as in sql/versions/0001_rows.up.sql
    index record;
    page bigint;
BEGIN
    FOR index IN
        SELECT brin.indexrelid AS id, brin.indrelid AS table_id
        FROM truthline_internal.written_tables(source) AS written (id)
        JOIN pg_index AS brin ON brin.indrelid = written.id
        JOIN pg_class AS class ON class.oid = brin.indexrelid
        JOIN pg_am AS method ON method.oid = class.relam AND method.amname = 'brin'
        ORDER BY written.id DESC LIMIT 3 -- of a hypertable, those of the newest chunks
    LOOP
        page := (pg_relation_size(index.table_id) / current_setting('block_size')::integer
                 / pages_per_range - 1) * pages_per_range;
        WHILE page >= 0 AND brin_summarize_range(index.id, page) > 0 LOOP
            page := page - pages_per_range;
        END LOOP;
    END LOOP;
EXCEPTION WHEN lock_not_available OR insufficient_privilege THEN
    RETURN;
END
$procedure$;
