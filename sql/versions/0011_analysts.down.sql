-- The views hold on to the tables they read, and would keep older steps from going down; they come
-- back, with the public functions, with the upgrade.
SET LOCAL search_path = truthline_data, truthline, public;
DROP SCHEMA truthline CASCADE;
CREATE SCHEMA truthline;
DROP TABLE analyst;
