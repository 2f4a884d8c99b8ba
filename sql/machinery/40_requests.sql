-- own_requests: locks requests until the transaction ends, and the keys of their predictions.
--
-- Caller   app/ingest/keys.py
-- Why      in order, so that two transactions with common requests can't deadlock. A row is inserted
--          and deleted by the same transaction, so it is never visible. Rows are deleted where they
--          were inserted, because statistics of a table that is always empty mislead any join.
--          Truths of stored predictions lock only the keys (app/ingest/stored_truths.py): so a
--          request is not owned before its keys are locked too.
CREATE OR REPLACE FUNCTION truthline_data.own_requests(model_ids integer[], keys uuid[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    places tid[];
BEGIN
    WITH held AS (
        INSERT INTO truthline_data.request_lock (model_id, key)
        SELECT DISTINCT request.model_id, request.key
        FROM unnest(model_ids, keys) AS request (model_id, key)
        ORDER BY 1, 2
        ON CONFLICT DO NOTHING
        RETURNING ctid
    )
    SELECT array_agg(ctid) INTO places FROM held;
    DELETE FROM truthline_data.request_lock WHERE ctid = ANY (places);
    PERFORM FROM (
        SELECT DISTINCT request.model_id, request.key
        FROM unnest(model_ids, keys) AS request (model_id, key)
        ORDER BY 1, 2
    ) AS request
    CROSS JOIN LATERAL (
        SELECT FROM truthline_data.prediction_key AS k
        WHERE (k.model_id, k.key) = (request.model_id, request.key)
        ORDER BY k.batch_index, k.series_id
        FOR NO KEY UPDATE
    ) AS locked;
END
$$;
