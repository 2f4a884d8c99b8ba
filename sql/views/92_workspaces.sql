-- Which workspaces a caller can see, and which ids the names of a model stand for.
--
-- Views and functions by name run with the privileges of their owner, so that an analyst's role needs
-- none on the tables. Each of them calls visible_workspaces to restrict its rows. Views are security
-- barriers, and for an analyst they consist of functions that apply this restriction first
-- (93_own.sql). Functions pin their search path, so that no object of the caller's can replace what
-- they call.
-- Why      row-level security would exclude continuous aggregates and the columnstore.

-- caller: the calling role, even within functions that run with the privileges of their owner.
-- Why      current_user is the owner there. SET ROLE requires membership in the role that it names.
CREATE OR REPLACE FUNCTION truthline_internal.caller() RETURNS name
LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE current_setting('role') WHEN 'none' THEN session_user
                ELSE current_setting('role')::name END
$$;
COMMENT ON FUNCTION truthline_internal.caller() IS
    'The calling role, even within functions that run with the privileges of their owner.';

-- visible_workspaces: ids of the workspaces that the caller can see.
--
-- All       of them, if the caller can read the tables anyway.
-- Admitted  otherwise that of the caller's own role, and those of the roles that it inherits from.
-- Narrowed  to one, if the setting truthline.workspace names it.
CREATE OR REPLACE FUNCTION truthline.visible_workspaces() RETURNS integer[]
LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(w.id), '{}')
    FROM truthline_internal.caller() AS asker
    CROSS JOIN truthline_data.workspace AS w
    WHERE (has_table_privilege(asker, 'truthline_data.prediction', 'SELECT')
           OR w.id IN (SELECT analyst.workspace_id FROM truthline_data.analyst
                       JOIN pg_roles AS role ON role.rolname = analyst.role_name
                       WHERE pg_has_role(asker, role.oid, 'USAGE')))
      AND w.name = coalesce(nullif(current_setting('truthline.workspace', true), ''), w.name)
$$;
COMMENT ON FUNCTION truthline.visible_workspaces() IS
    'The ids of the workspaces that the caller can see.';

-- own_workspaces: the workspaces that the caller can see.
CREATE OR REPLACE FUNCTION truthline_internal.own_workspaces()
RETURNS TABLE (id integer, workspace text, created_at timestamptz)
LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER ROWS 10
SET search_path = pg_catalog, pg_temp AS $$
    SELECT w.id, w.name, w.created_at FROM truthline_data.workspace AS w
    WHERE w.id = ANY ((SELECT truthline.visible_workspaces())::integer[])
$$;
COMMENT ON FUNCTION truthline_internal.own_workspaces() IS
    'The workspaces that the caller can see.';

-- workspace_id: the id of a workspace that the caller can see.
-- Errors   undefined_object: no workspace has that name, or the caller can't see it.
-- Why      only visible workspaces are searched: anyone may read the counters of tables, which would
--          reveal whether an index lookup succeeded.
CREATE OR REPLACE FUNCTION truthline.workspace_id(workspace text) RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    found integer := (
        SELECT own.id FROM truthline_internal.own_workspaces() AS own
        WHERE own.workspace = workspace_id.workspace);
BEGIN
    IF found IS NULL THEN
        RAISE undefined_object USING MESSAGE = format('there is no workspace %L', workspace);
    END IF;
    RETURN found;
END
$function$;
COMMENT ON FUNCTION truthline.workspace_id(text) IS
    'The id of a workspace that the caller can see.';

-- model_id: the id of a model by name; namespace and pipeline are only needed for an ambiguous name.
-- Errors   undefined_object: the workspace has none of that name; ambiguous_alias: it has several.
CREATE OR REPLACE FUNCTION truthline.model_id(
    workspace text, model text, namespace text DEFAULT NULL, pipeline text DEFAULT NULL
) RETURNS integer LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    found integer[] := ARRAY(
        SELECT m.id FROM truthline_data.model AS m
        WHERE m.workspace_id = truthline.workspace_id(model_id.workspace)
          AND m.name = model_id.model
          AND (model_id.namespace IS NULL OR m.namespace = model_id.namespace)
          AND (model_id.pipeline IS NULL OR m.pipeline = model_id.pipeline));
BEGIN
    IF cardinality(found) = 0 THEN
        RAISE undefined_object USING
            MESSAGE = format('there is no model %L in workspace %L', model, workspace);
    ELSIF cardinality(found) > 1 THEN
        RAISE ambiguous_alias USING
            MESSAGE = format('there are %s models %L in workspace %L', cardinality(found), model,
                             workspace),
            HINT = 'Say which: namespace => ''...'', pipeline => ''...''.';
    END IF;
    RETURN found[1];
END
$function$;
COMMENT ON FUNCTION truthline.model_id(text, text, text, text) IS
    'The id of a model of a workspace that the caller can see.';

-- series_of: the series of a model, or of a version or a deployment of it, or those with some tags.
-- Errors   those of model_id. An unknown version has no series, so its metrics count no truths.
CREATE OR REPLACE FUNCTION truthline.series_of(
    workspace text, model text, version text DEFAULT NULL, deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL, tags jsonb DEFAULT NULL
) RETURNS integer[] LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(s.id), '{}') FROM truthline_data.series AS s
    WHERE s.model_id = truthline.model_id(workspace, model, namespace, pipeline)
      AND (series_of.version IS NULL OR s.version = series_of.version)
      AND (series_of.deployment IS NULL OR s.deployment = series_of.deployment)
      AND s.tags @> truthline_internal.certain_tags(series_of.tags)
      AND truthline_internal.has_tags(s.tags, series_of.tags)
$$;
COMMENT ON FUNCTION truthline.series_of(text, text, text, text, text, text, jsonb) IS
    'The series of a model, of one of its versions or deployments, or with some tags.';

-- grant_reading: grant a role access to views and functions by name.
-- Why      every function that runs with the privileges of its owner restricts its rows to the caller's.
--          Views call some of them with the privileges of the role that reads the view. Those are in
--          truthline_internal, on which the role has no USAGE: no statement of its own can name them.
CREATE OR REPLACE PROCEDURE truthline.grant_reading(role_name name)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $procedure$
DECLARE
    item text;
BEGIN
    IF NOT has_database_privilege(role_name, current_database(), 'CONNECT') THEN
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role_name);
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA truthline TO %I', role_name);
    FOR item IN
        SELECT format('SELECT ON %s', oid::regclass) FROM pg_class
        WHERE relkind = 'v' AND relnamespace = 'truthline'::regnamespace
        UNION ALL
        SELECT format('EXECUTE ON FUNCTION %s', oid::regprocedure) FROM pg_proc
        WHERE prosecdef
          AND pronamespace IN ('truthline'::regnamespace, 'truthline_internal'::regnamespace)
    LOOP
        EXECUTE format('GRANT %s TO %I', item, role_name);
    END LOOP;
END
$procedure$;
COMMENT ON PROCEDURE truthline.grant_reading(name) IS
    'Grant a role access to views and functions by name.';

-- admit: grant a role access to one workspace, through views and functions only.
-- Errors   undefined_object: no such role or workspace; invalid_grant_operation: the role can read the
--          tables, and with them every workspace.
CREATE OR REPLACE PROCEDURE truthline.admit(role_name name, workspace text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $procedure$
BEGIN
    IF has_table_privilege(role_name, 'truthline_data.prediction', 'SELECT') THEN
        RAISE invalid_grant_operation USING
            MESSAGE = format('role %I may read the tables of all workspaces', role_name);
    END IF;
    INSERT INTO truthline_data.analyst (role_name, workspace_id)
    VALUES (admit.role_name, truthline.workspace_id(workspace))
    ON CONFLICT ON CONSTRAINT analyst_pkey
        DO UPDATE SET workspace_id = EXCLUDED.workspace_id, admitted_at = now();
    CALL truthline.grant_reading(role_name);
END
$procedure$;
COMMENT ON PROCEDURE truthline.admit(name, text) IS
    'Grant a database role access to one workspace, through views and functions by name.';

-- dismiss: revoke a role's access.
CREATE OR REPLACE PROCEDURE truthline.dismiss(role_name name)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $procedure$
BEGIN
    DELETE FROM truthline_data.analyst AS a WHERE a.role_name = dismiss.role_name;
    EXECUTE format('REVOKE ALL ON SCHEMA truthline FROM %I', role_name);
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA truthline FROM %I', role_name);
    EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA truthline, truthline_internal FROM %I',
                   role_name);
END
$procedure$;
COMMENT ON PROCEDURE truthline.dismiss(name) IS
    'Revoke a database role''s access to its workspace.';
