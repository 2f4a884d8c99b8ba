-- What training pipelines measure, step by step.
--
-- Rows of the registries (execution, step_name, step_metric) are identified by ids that grow; what
-- was recorded is kept in step_batch, which nothing ever updates.
SET LOCAL search_path = truthline_data, truthline, public;

-- execution: a run of a pipeline, by itself or for a deployment.
-- Grain   one row per (workspace, name); created by the first metric that names it, or explicitly.
-- Writer  app/store/executions.py, app/ingest/executions.py
-- Reader  sql/views/90_steps.sql, app/query/executions.py
-- Why     pipeline and deployment are reported separately, perhaps after metrics; empty until then.
CREATE TABLE execution (
    id           integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id integer     NOT NULL REFERENCES workspace (id),
    name         text        NOT NULL,
    pipeline     text        NOT NULL DEFAULT '',
    deployment   text        NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at   timestamptz,
    finished_at  timestamptz,
    UNIQUE (workspace_id, name)
);
CREATE INDEX execution_pipeline ON execution (workspace_id, pipeline);
CREATE INDEX execution_deployment ON execution (workspace_id, deployment);

-- step_name: names of step metrics.
-- Grain   one row per (workspace, name).
-- Writer  app/store/executions.py       Reader  sql/views/90_steps.sql
CREATE TABLE step_name (
    id           integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspace (id),
    name         text    NOT NULL,
    UNIQUE (workspace_id, name)
);

-- step_metric: a metric of an execution as it stands.
--
-- Grain    one row per (execution, name, scalar or list). A scalar and a list may share a name.
-- Units    n_values counts what was recorded, value is the last of it.
-- Writer   app/ingest/steps.py
-- Reader   sql/views/90_steps.sql
-- Why      the row that a recording updates decides the order of recordings, and whether a list is
--          full. Its id is assigned by the first recording: pages are served in that order, so that
--          a new metric never moves one that was served before. Nothing that a recording changes is
--          indexed, so that the update stays on its page.
CREATE TABLE step_metric (
    id           bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    n_values     bigint           NOT NULL,
    value        double precision NOT NULL,
    created_at   timestamptz      NOT NULL DEFAULT clock_timestamp(),
    received_at  timestamptz      NOT NULL DEFAULT clock_timestamp(),
    workspace_id integer          NOT NULL,
    execution_id integer          NOT NULL REFERENCES execution (id),
    name_id      integer          NOT NULL REFERENCES step_name (id),
    is_list      boolean          NOT NULL,
    UNIQUE (execution_id, name_id, is_list)
) WITH (fillfactor = 80);
CREATE INDEX step_metric_workspace ON step_metric (workspace_id, is_list, id);
CREATE INDEX step_metric_name ON step_metric (name_id, is_list, id);

-- step_batch: what was recorded, append-only.
--
-- Grain    one row per recording: a scalar's value, or the values appended to a list.
-- Clock    received_at, which grows from one recording of a metric to the next.
-- Units    `place` is that of the first of its values among all of the metric, from 1.
-- Writer   app/ingest/steps.py
-- Reader   sql/views/90_steps.sql
-- Why      values of one recording lie together: a list of 50,000 is read from a few rows.
CREATE TABLE step_batch (
    received_at timestamptz        NOT NULL,
    metric_id   bigint             NOT NULL,
    place       bigint             NOT NULL,
    values      double precision[] NOT NULL
);
-- doubles of measurements hardly get smaller by compression
ALTER TABLE step_batch ALTER COLUMN values SET STORAGE EXTERNAL;
-- `place` lets a part of a long history be found within the index
CREATE INDEX step_batch_metric ON step_batch (metric_id, received_at, place);
