-- Who may call what, anew each time that functions and views are made anew.
--
-- Why      by default everybody may call a new function. Whoever reads all workspaces gets his rights
--          from outside (deploy/postgres/grants.sql); analysts are known here.
REVOKE ALL ON ALL ROUTINES IN SCHEMA truthline, truthline_internal FROM PUBLIC;
DO $$
DECLARE
    role name;
BEGIN
    FOR role IN SELECT role_name FROM truthline_data.analyst
                JOIN pg_roles ON rolname = role_name LOOP
        CALL truthline.grant_reading(role);
    END LOOP;
END
$$;
