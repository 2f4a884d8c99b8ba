-- The raw rows, append-only, and the two small tables that join them at ingest.
--
-- Raw rows have no foreign keys: their ids come from the registry, which never deletes. A key
-- would make each new chunk lock `series`, and triple the time of a COPY.
SET LOCAL search_path = truthline_data, truthline, public;

-- prediction: what models answered.
--
-- Grain    one row per output: a class, a value, or one detection. An inference that found
--          nothing is one row with label '' and confidence 0; a failed one is one row
--          without label and value.
-- Clocks   `time` is when it happened, by the client's word; `received_at` when it was
--          learned, by ours. Partitioned by the second, so no row is ever late.
-- Writer   app/ingest/predictions.py
-- Reader   sql/views
-- Units    confidence is a fraction of 1, latency is in seconds.
-- Why      `starts_request` marks the first row of an inference, `starts_label` the first of
--          its label within it: inferences, inferences per label and outputs are then all
--          plain sums, which rollups can keep.
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
    -- ingest refuses what is a day ahead of its own clock, which may differ from ours
    CONSTRAINT prediction_time_ahead CHECK (time <= received_at + INTERVAL '25 hours')
);

-- outcome: one prediction beside its truth.
--
-- Grain    one row per truth learned. A correction is two rows: the old pair with weight -1
--          and the new one with +1. Nothing is updated.
-- Clocks   `time` is when the prediction was made, `received_at` when its truth was learned.
-- Writer   app/ingest/feedback.py, app/ingest/predictions.py (truths that were waiting)
-- Reader   sql/views
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

-- prediction_key: how a truth finds its prediction, and how a repeated request is known.
--
-- Grain    one row per (model, request id, batch index, series) that may still get a truth.
-- Writer   app/ingest
-- Reader   app/ingest
-- Why      a hypertable can't hold a unique index without its time column, and a lookup by
--          request id would visit every chunk. `key` is a 128-bit hash of the request id,
--          so rows stay narrow whatever ids clients choose. It holds the truth last learned:
--          a correction must know what it takes back.
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

-- pending_feedback: truths that arrived before their prediction.
--
-- Grain    one row per (model, request id, batch index); the latest truth stands.
-- Writer   app/ingest                   Reader  app/ingest, `truthline status`
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

-- ingest_batch: batches already taken, by their Idempotency-Key.
-- Grain    one row per (workspace, endpoint, key), kept a few days.
-- Writer   app/ingest/batch.py          Reader  app/ingest/batch.py
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
