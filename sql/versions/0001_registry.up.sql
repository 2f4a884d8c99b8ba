-- Schemas, and the registries that raw rows point into.
--
-- truthline       what analysts, Grafana and the API read: functions and views (sql/views/)
-- truthline_data  the tables behind them; nobody outside the service reads these by name
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

-- api_key: who may act for a workspace.
-- Grain   one row per key ever made; a revoked key keeps its row.
-- Writer  app/auth/keys.py              Reader  app/auth/keys.py
-- Why     only the SHA-256 of a key is kept: keys are 256 random bits, so a slow hash
--         would add nothing but latency.
CREATE TABLE api_key (
    id           integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id integer     NOT NULL REFERENCES workspace (id),
    role         text        NOT NULL CHECK (role IN ('ingest', 'read', 'admin')),
    digest       bytea       NOT NULL UNIQUE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    revoked_at   timestamptz
);

-- model: what feedback and metrics name.
-- Grain   one row per (workspace, namespace, pipeline, model name).
-- Writer  app/store/registry.py         Reader  app/store/registry.py, sql/views
-- Why     `kind` is settled by the first prediction or subscription, so that a value sent
--         for a classifier can be refused. NULL: only feedback has been seen so far.
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
--         cells of several models add up without a look at the names.
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
