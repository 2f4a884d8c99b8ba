-- The raw rows, append-only, and the tables that match them to each other at ingest.
--
-- Raw rows have no foreign keys: their ids come from the registry, which never deletes. A foreign key
-- would make each new chunk lock `series`, and triple the time of a COPY.
--
-- Two indexes each:
-- btree (series_id, time)  the edges of a window: one series between two instants
-- brin (received_at)       the tail: rows are stored in order of arrival, so few index pages suffice
SET LOCAL search_path = truthline_data, truthline, public;

-- prediction: outputs of models.
--
-- Grain    one row per output: a class, a value, or one detection. An inference without any
--          detection is one row with label '' and confidence 0; a failed one is one row without
--          label and value.
-- Clocks   `time` is when the prediction was made, as the client states it; `received_at` when it
--          was stored, by the database's clock. Partitioned by the latter, so no row is ever late.
-- Writer   ingest; a latency that arrives later, ingest of events
-- Reader   the views
-- Units    confidence is a fraction of 1, latency is in seconds.
-- Why      `starts_request` marks the first row of an inference, `starts_label` the first of its
--          label within it: so inferences, inferences per label and outputs are all plain sums,
--          which levels can hold.
CREATE TABLE prediction (
    received_at     timestamptz      NOT NULL DEFAULT clock_timestamp(),
    time            timestamptz      NOT NULL,
    value           double precision,
    confidence      double precision,
    latency_seconds double precision,
    series_id       integer          NOT NULL,
    label_id        integer,
    batch_index     integer          NOT NULL,
    starts_request  boolean          NOT NULL,
    starts_label    boolean          NOT NULL,
    failed          boolean          NOT NULL,
    request_id      text,
    -- ingest rejects times a day ahead of its own clock, which may differ from the database's
    CONSTRAINT prediction_time_ahead CHECK (time <= received_at + INTERVAL '25 hours')
);
CREATE INDEX prediction_series_time ON prediction (series_id, time);
CREATE INDEX prediction_received_at ON prediction USING brin (received_at) WITH (pages_per_range = 32);

-- outcome: predictions joined with their truths.
--
-- Grain    one row per received truth. A correction is two rows: the old pair with weight -1 and the
--          new one with +1. No row is updated.
-- Clocks   `time` is when the prediction was made, `received_at` when its truth was stored.
-- Writer   ingest, of feedback and of predictions whose truth was pending
-- Reader   the views
-- Why      it repeats the prediction: a continuous aggregate reads one hypertable, so the
--          join happens once, here.
CREATE TABLE outcome (
    received_at     timestamptz      NOT NULL DEFAULT clock_timestamp(),
    time            timestamptz      NOT NULL,
    predicted_value double precision,
    actual_value    double precision,
    series_id       integer          NOT NULL,
    predicted_label integer,
    actual_label    integer,
    batch_index     integer          NOT NULL,
    weight          smallint         NOT NULL DEFAULT 1 CHECK (weight IN (-1, 1)),
    request_id      text,
    CONSTRAINT outcome_time_ahead CHECK (time <= received_at + INTERVAL '25 hours'),
    CONSTRAINT outcome_pair CHECK (
        (predicted_label IS NULL) = (actual_label IS NULL)
        AND (predicted_value IS NULL) = (actual_value IS NULL)
        AND (predicted_label IS NULL) <> (predicted_value IS NULL)
    )
);
CREATE INDEX outcome_series_time ON outcome (series_id, time);
CREATE INDEX outcome_received_at ON outcome USING brin (received_at) WITH (pages_per_range = 32);

-- prediction_key: finds the prediction of a truth, and recognises a repeated request.
--
-- Grain    one row per (model, request id, batch index, series) that can still receive a truth.
-- Writer   ingest
-- Reader   ingest
-- Why      a hypertable can't have a unique index without its time column, and a lookup by
--          request id would visit every chunk. `key` is a 128-bit hash of the request id, so rows
--          stay narrow whatever ids clients choose. It holds the latest truth: a correction must
--          know what it withdraws. Keys are deleted by age, once no more truths are expected; they
--          are stored in about that order.
CREATE TABLE prediction_key (
    key             uuid             NOT NULL,
    time            timestamptz      NOT NULL,
    predicted_value double precision,
    actual_value    double precision,
    model_id        integer          NOT NULL,
    batch_index     integer          NOT NULL,
    series_id       integer          NOT NULL,
    predicted_label integer,
    actual_label    integer,
    PRIMARY KEY (model_id, key, batch_index, series_id)
) WITH (fillfactor = 85);  -- truths update in place, without touching the index
CREATE INDEX prediction_key_time ON prediction_key USING brin (time) WITH (pages_per_range = 32);

-- pending_feedback: truths that arrived before their prediction.
--
-- Grain    one row per (model, request id, batch index); the latest truth counts.
-- Writer   ingest                       Reader  ingest, `truthline status`
CREATE TABLE pending_feedback (
    key          uuid             NOT NULL,
    received_at  timestamptz      NOT NULL DEFAULT clock_timestamp(),
    actual_value double precision,
    model_id     integer          NOT NULL REFERENCES model (id),
    batch_index  integer          NOT NULL,
    actual_label integer,
    request_id   text             NOT NULL,
    PRIMARY KEY (model_id, key, batch_index),
    CHECK ((actual_label IS NULL) <> (actual_value IS NULL))
);

-- request_lock: locks of transactions that match a request with its truth.
--
-- Grain    no row is ever visible: a row is inserted and deleted in the transaction that holds the
--          lock. Another transaction that inserts the same row waits until that one ends.
-- Writer   own_requests (sql/machinery/)    Reader  none
-- Why      any role that can connect can take an advisory lock; only a role with privileges on the
--          table can lock a row, and analysts have none here. One lock per request: no two requests
--          share one, whatever their model and workspace, and the number of locks is not limited.
--          Unlogged, because no row outlives its transaction.
CREATE UNLOGGED TABLE request_lock (
    model_id integer NOT NULL,
    key      uuid    NOT NULL,
    PRIMARY KEY (model_id, key)
);

-- ingest_batch: accepted batches, by their Idempotency-Key.
-- Grain    one row per (workspace, endpoint, key), kept for a few days.
-- Writer   ingest                       Reader  ingest
CREATE TABLE ingest_batch (
    workspace_id    integer     NOT NULL REFERENCES workspace (id),
    endpoint        text        NOT NULL,
    idempotency_key text        NOT NULL,
    digest          bytea       NOT NULL,
    row_count       integer     NOT NULL,
    received_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_id, endpoint, idempotency_key)
);
CREATE INDEX ON ingest_batch (received_at);

-- inference_metadata: fields that clients attach to inferences.
-- Grain   one row per (workspace, field name, inference); the latest value counts.
-- Writer  ingest                        Reader  the inference stats, as a filter
-- Why     it can arrive before or after the prediction, and raw rows are never updated. It refers to
--         rows by their request id, which is the id of the inference.
CREATE TABLE inference_metadata (
    workspace_id integer     NOT NULL REFERENCES workspace (id),
    field_name   text        NOT NULL,
    inference_id text        NOT NULL,
    field_value  text        NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_id, field_name, inference_id)
);
CREATE INDEX inference_metadata_value ON inference_metadata (workspace_id, field_name, field_value);
