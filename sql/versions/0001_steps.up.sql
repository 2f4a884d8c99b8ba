-- Metrics that training pipelines record, step by step.
--
-- Rows of the registries (execution, step_name, step_metric) have ascending ids; recorded values are
-- in step_batch, whose rows are never updated.
SET LOCAL search_path = truthline_data, truthline, public;

-- execution: runs of a pipeline, on their own or for a deployment.
-- Grain   one row per (workspace, name); created by the first metric that names it, or explicitly.
-- Writer  store, ingest                 Reader  the views, query
-- Why     pipeline and deployment are reported separately, possibly after metrics; empty until then.
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
-- Writer  store                         Reader  the views
CREATE TABLE step_name (
    id           integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspace (id),
    name         text    NOT NULL,
    UNIQUE (workspace_id, name)
);

-- step_metric: current state of an execution's metric.
--
-- Grain    one row per (execution, name, scalar or list). A scalar and a list may share a name.
-- Units    n_values counts recorded values, `value` is the latest.
-- Writer   ingest
-- Reader   the views
-- Why      recordings update this row, so it decides their order and whether a list is full. The
--          first recording assigns its id, and pages are served in the order of ids: a new metric
--          never moves one that was served before. No column that a recording changes is indexed,
--          so the update stays on its page.
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

-- step_batch: recorded values, append-only.
--
-- Grain    one row per recording: a scalar's value, or the values appended to a list.
-- Clock    received_at, which grows from one recording of a metric to the next.
-- Units    `place` is the position of its first value among all values of the metric, from 1.
-- Writer   ingest
-- Reader   the views
-- Why      values of one recording are stored together: a list of 50,000 is read from a few rows.
CREATE TABLE step_batch (
    received_at timestamptz        NOT NULL,
    metric_id   bigint             NOT NULL,
    place       bigint             NOT NULL,
    values      double precision[] NOT NULL
);
-- doubles of measurements hardly compress
ALTER TABLE step_batch ALTER COLUMN values SET STORAGE EXTERNAL;
-- with `place`, a part of a long history is found within the index
CREATE INDEX step_batch_metric ON step_batch (metric_id, received_at, place);
