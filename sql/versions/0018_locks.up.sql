-- Locks that only writers of this schema can hold.
--
-- Why      an advisory lock may be taken by any role that can connect. A row or a table is locked
--          only by a role with privileges on it, and an analyst has none here.
SET LOCAL search_path = truthline_data, truthline, public;

-- request_lock: who is bringing a request and its truth together.
--
-- Grain    none that anybody sees: a row is inserted and deleted in the transaction that owns the
--          request. Another transaction that inserts the same row waits for the first one's end.
-- Writer   own_requests                  Reader  nobody
-- Why      one lock per request: no two requests share one, whatever their model and workspace, and
--          the number of locks has no limit. Unlogged, for nothing in it outlives a transaction.
CREATE UNLOGGED TABLE request_lock (
    model_id integer NOT NULL,
    key      uuid    NOT NULL,
    PRIMARY KEY (model_id, key)
);

-- own_requests: keep other owners of these requests out until the transaction ends.
-- Why      in order, so that two owners with common requests wait for each other one way only. The
--          row's deleter and inserter are one transaction, so nobody sees the row at any time.
CREATE FUNCTION own_requests(model_ids integer[], keys uuid[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO truthline_data.request_lock (model_id, key)
    SELECT DISTINCT one.model_id, one.key FROM unnest(model_ids, keys) AS one (model_id, key)
    ORDER BY 1, 2
    ON CONFLICT DO NOTHING;
    DELETE FROM truthline_data.request_lock AS mine
    USING unnest(model_ids, keys) AS one (model_id, key)
    WHERE (mine.model_id, mine.key) = (one.model_id, one.key);
END
$$;

-- upkeep_lock: the table that is locked by the worker whose turn it is. It stays empty.
CREATE TABLE upkeep_lock ();
