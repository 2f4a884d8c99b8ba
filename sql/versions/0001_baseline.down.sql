-- Everything is dropped, rows included.
DROP SCHEMA truthline CASCADE;
DROP SCHEMA truthline_data CASCADE;
