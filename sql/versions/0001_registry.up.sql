-- Schemas, and the registries that raw rows refer to.
--
-- truthline       what analysts, Grafana and the API read: functions and views (sql/views/)
-- truthline_data  the tables behind them, and the functions that write them (sql/machinery/);
--                 not for use from outside the service
CREATE SCHEMA truthline;
CREATE SCHEMA truthline_data;
SET LOCAL search_path = truthline_data, truthline, public;

-- workspace: owner of everything.
-- Grain   one row per team.
-- Writer  app/auth/workspaces.py        Reader  every query, as its filter
CREATE TABLE workspace (
    id         integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text        NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO workspace (name) VALUES ('default');

-- model: what feedback and metrics name.
-- Grain   one row per (workspace, namespace, pipeline, model name).
-- Writer  app/store/registry.py         Reader  app/store/registry.py, sql/views
-- Why     `kind` is set by the first prediction or subscription, so that a value sent for a
--         classifier can be rejected. NULL: only feedback has arrived so far.
CREATE TABLE model (
    id           integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id integer     NOT NULL REFERENCES workspace (id),
    namespace    text        NOT NULL,
    pipeline     text        NOT NULL,
    name         text        NOT NULL,
    kind         text        CHECK (kind IN ('classification', 'regression', 'detection')),
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, namespace, pipeline, name)
);

-- series: what a raw row carries instead of eight texts.
-- Grain   one row per (model, deployment, version, deployment type, server version).
-- Writer  app/store/registry.py         Reader  app/store/registry.py, sql/views
CREATE TABLE series (
    id              integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_id        integer     NOT NULL REFERENCES model (id),
    deployment      text        NOT NULL,
    version         text        NOT NULL,
    deployment_type text        NOT NULL,
    server_version  text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (model_id, deployment, version, deployment_type, server_version)
);

-- label: class names to small integers.
-- Grain   one row per (workspace, class name): models that share a name share its id, so
--         cells of several models add up without looking up names.
-- Writer  app/store/registry.py         Reader  app/store/registry.py, sql/views
CREATE TABLE label (
    id           integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspace (id),
    name         text    NOT NULL,
    UNIQUE (workspace_id, name)
);

-- subscription: what a model declares about its output.
-- Grain   at most one row per model.
-- Writer  app/store/subscriptions.py    Reader  app/store/subscriptions.py
-- Why     `categories` keeps label ids in the declared order: it is the order of every
--         confusion matrix, and a category index in feedback counts along it.
CREATE TABLE subscription (
    id         bigint      PRIMARY KEY CHECK (id > 0),
    model_id   integer     NOT NULL UNIQUE REFERENCES model (id),
    features   jsonb       NOT NULL,
    categories integer[]   NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
