-- event_pair.request: what is stored of a request as failed if no response arrives in time.
--
-- Units   names of the model, and the request's id, as app/ingest/events/pairs.py writes them. NULL
--         once the response arrives or the request counts as failed, for a response that came first,
--         and while TRUTHLINE_UNANSWERED_AFTER_S is 0.
-- Writer  ingest of events              Reader  the worker, every minute
-- Why     the key is a hash, from which the model can't be told. In this table, because the second
--         half of a pair updates its row anyway. The index has only rows that the worker may want,
--         so with the setting off it stays empty and updates in place go on.
SET LOCAL search_path = truthline_data, truthline, public;

ALTER TABLE event_pair ADD COLUMN request jsonb;
CREATE INDEX event_pair_unanswered ON event_pair (received_at) WHERE request IS NOT NULL;
