-- Everything goes, the public functions too: they read these tables.
DROP SCHEMA truthline CASCADE;
DROP SCHEMA truthline_data CASCADE;
