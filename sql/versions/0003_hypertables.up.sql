-- Indexes of the raw tables, the same on every edition.
--
-- btree (series_id, time)  the edges of a window: one series between two instants
-- brin (received_at)       the tail: rows lie in arrival order, so a few pages of index do
SET LOCAL search_path = truthline_data, truthline, public;
CREATE INDEX prediction_series_time ON prediction (series_id, time);
CREATE INDEX prediction_received_at ON prediction USING brin (received_at) WITH (pages_per_range = 32);
CREATE INDEX outcome_series_time ON outcome (series_id, time);
CREATE INDEX outcome_received_at ON outcome USING brin (received_at) WITH (pages_per_range = 32);
