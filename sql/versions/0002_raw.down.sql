-- The public functions read these tables; they come back with the next upgrade.
DROP SCHEMA truthline CASCADE;
CREATE SCHEMA truthline;
SET LOCAL search_path = truthline_data, public;
DROP TABLE ingest_batch, pending_feedback, prediction_key, outcome, prediction;
