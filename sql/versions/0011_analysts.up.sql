-- Database roles of analysts, and the one workspace that each of them sees.
SET LOCAL search_path = truthline_data, truthline, public;

-- analyst: which role sees which workspace.
-- Grain   one row per role.
-- Writer  truthline.admit, truthline.dismiss    Reader  truthline.visible_workspaces
-- Why     a role is known by its name, for its number is another one after a dump and a restore.
CREATE TABLE analyst (
    role_name    name        PRIMARY KEY,
    workspace_id integer     NOT NULL REFERENCES workspace (id),
    admitted_at  timestamptz NOT NULL DEFAULT now()
);
