-- truthline_internal: the machinery that functions and views of schema truthline call, and the API.
--
-- Why      a schema of its own: schema truthline holds nothing but the contract (sql/README.md), and a
--          role without USAGE here can't name anything in it. An analyst's views can still call it:
--          they were bound to these functions when they were created.
CREATE SCHEMA truthline_internal;
COMMENT ON SCHEMA truthline_internal IS
    'Machinery of Truthline. Anything here may change with each release.';
