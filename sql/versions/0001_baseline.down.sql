-- Drops everything, including all rows.
DROP SCHEMA truthline CASCADE;
DROP SCHEMA IF EXISTS truthline_internal CASCADE;
DROP SCHEMA truthline_data CASCADE;
