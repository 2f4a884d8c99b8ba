-- Levels hold nothing that the raw rows don't; the public functions come back with the upgrade.
DROP SCHEMA truthline CASCADE;
CREATE SCHEMA truthline;
SET LOCAL search_path = truthline_data, public;
DROP VIEW IF EXISTS outcome_measure;
DROP TABLE outcome_1h, outcome_1d, outcome_1mo, level;
