-- Privileges on functions and views, granted again each time these are recreated.
--
-- Why      by default PUBLIC may execute a new function. Roles that read all workspaces get their
--          privileges from deploy/postgres/grants.sql; analysts are listed in the database.
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
