-- Schemas, and the registries that raw rows refer to.
--
-- truthline       what analysts, Grafana and the API read: functions and views (sql/views/)
-- truthline_data  the tables behind them, and the functions that write them (sql/machinery/);
--                 only for the service itself
CREATE SCHEMA truthline;
CREATE SCHEMA truthline_data;
SET LOCAL search_path = truthline_data, truthline, public;

-- workspace: tenants; each owns its models, keys and data.
-- Grain   one row per team.
-- Writer  auth                          Reader  every query, as its filter
CREATE TABLE workspace (
    id         integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text        NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO workspace (name) VALUES ('default');

-- model: what feedback and metrics refer to.
-- Grain   one row per (workspace, namespace, pipeline, model name).
-- Writer  store                         Reader  store, the views
-- Why     the first prediction or subscription sets `kind`, so that a value sent for a classifier
--         can be rejected. NULL: only feedback has arrived so far.
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

-- series: replaces eight texts in a raw row.
-- Grain   one row per (model, deployment, version, deployment type, server version).
-- Writer  store                         Reader  store, the views
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

-- label: small integers for class names.
-- Grain   one row per (workspace, class name): models that share a class name share its id, so
--         that cells of several models add up without looking up names.
-- Writer  store                         Reader  store, the views
CREATE TABLE label (
    id           integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspace (id),
    name         text    NOT NULL,
    UNIQUE (workspace_id, name)
);

-- subscription: what a model declares about its output.
-- Grain   at most one row per model.
-- Writer  store                         Reader  store
-- Why     `categories` keeps label ids in the declared order: confusion matrices use this order, and
--         a category index in feedback refers to it.
CREATE TABLE subscription (
    id         bigint      PRIMARY KEY CHECK (id > 0),
    model_id   integer     NOT NULL UNIQUE REFERENCES model (id),
    features   jsonb       NOT NULL,
    categories integer[]   NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
