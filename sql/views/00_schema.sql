-- truthline_internal: the machinery that functions and views of schema truthline call, and the API.
--
-- Why      a schema of its own: schema truthline holds nothing but the contract (sql/README.md), and
--          whoever lacks USAGE here can't name anything in it. Views of an analyst call what they are
--          made of all the same: they were bound to it when they were created.
CREATE SCHEMA truthline_internal;
COMMENT ON SCHEMA truthline_internal IS
    'Machinery of Truthline. Anything here may change with each release.';
