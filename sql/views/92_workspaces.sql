-- Who sees which workspace, and what is meant by the name of a model.
--
-- Views and functions by name run with the rights of their owner, so that an analyst's role needs
-- none on the tables. Each of them asks visible_workspaces who is asking. Views are security
-- barriers, and for an analyst they are made of functions that answer that question first
-- (93_own.sql). Functions pin their search path: nothing of the asker's is found in place of what
-- they call.
-- Why      row-level security would exclude continuous aggregates and the columnstore.

-- caller: the role that asks, within functions that run with the rights of their owner too.
-- Why      current_user is the owner there. SET ROLE demands membership in the role it names.
CREATE OR REPLACE FUNCTION truthline_internal.caller() RETURNS name
LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE current_setting('role') WHEN 'none' THEN session_user
                ELSE current_setting('role')::name END
$$;
COMMENT ON FUNCTION truthline_internal.caller() IS
    'The role that asks, within functions that run with the rights of their owner too.';

-- visible_workspaces: ids of the workspaces that the caller sees.
--
-- All       of them, if the caller may read the tables anyway.
-- Admitted  otherwise that of the caller's own role, and of those it inherits from.
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
    'The ids of the workspaces that the caller sees.';

-- own_workspaces: the workspaces that the caller sees.
CREATE OR REPLACE FUNCTION truthline_internal.own_workspaces()
RETURNS TABLE (id integer, workspace text, created_at timestamptz)
LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER ROWS 10
SET search_path = pg_catalog, pg_temp AS $$
    SELECT w.id, w.name, w.created_at FROM truthline_data.workspace AS w
    WHERE w.id = ANY ((SELECT truthline.visible_workspaces())::integer[])
$$;
COMMENT ON FUNCTION truthline_internal.own_workspaces() IS
    'The workspaces that the caller sees.';

-- workspace_id: the id of a workspace that the caller sees.
-- Errors   undefined_object: there is none of that name, or it is somebody else's.
-- Why      the name is looked for among those alone: counters of tables, which anybody may read,
--          would tell whether an index found it.
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
    'The id of a workspace that the caller sees.';

-- model_id: the id of a model by name; namespace and pipeline only where the name is not enough.
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
    'The id of a model of a workspace that the caller sees.';

-- series_of: the series of a model, or of a version or a deployment of it.
-- Errors   as of model_id. A version that isn't there has no series, and metrics without truths.
CREATE OR REPLACE FUNCTION truthline.series_of(
    workspace text, model text, version text DEFAULT NULL, deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL
) RETURNS integer[] LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(s.id), '{}') FROM truthline_data.series AS s
    WHERE s.model_id = truthline.model_id(workspace, model, namespace, pipeline)
      AND (series_of.version IS NULL OR s.version = series_of.version)
      AND (series_of.deployment IS NULL OR s.deployment = series_of.deployment)
$$;
COMMENT ON FUNCTION truthline.series_of(text, text, text, text, text, text) IS
    'The series of a model, of one of its versions or of one of its deployments.';

-- grant_reading: open views and functions by name to a role.
-- Why      functions that run with the rights of their owner are those that ask who is asking. Views call
--          some of them with the rights of whoever reads the view. Those are in truthline_internal, of
--          which the role has no USAGE: no statement of its own can name them.
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
    'Open views and functions by name to a role.';

-- admit: let a role see one workspace through views and functions, and nothing else.
-- Errors   undefined_object: no such role or workspace; invalid_grant_operation: the role may read
--          the tables, and with them every workspace.
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
    'Let a database role see one workspace through views and functions by name.';

-- dismiss: let a role see nothing any more.
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
    'Let a database role see nothing of the workspaces any more.';
