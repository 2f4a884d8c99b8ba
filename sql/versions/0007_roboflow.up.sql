-- What else is known of an inference, told after it.
SET LOCAL search_path = truthline_data, truthline, public;

-- inference_metadata: fields that a client gave its inferences.
-- Grain   one row per (workspace, field name, inference); the value last given stands.
-- Writer  app/ingest/metadata.py        Reader  truthline.inference_cells, as a filter
-- Why     it comes after the prediction, or before: raw rows are never updated. It finds its rows
--         by their request id, which the inference's own id is.
CREATE TABLE inference_metadata (
    workspace_id integer     NOT NULL REFERENCES workspace (id),
    field_name   text        NOT NULL,
    inference_id text        NOT NULL,
    field_value  text        NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_id, field_name, inference_id)
);
CREATE INDEX inference_metadata_value ON inference_metadata (workspace_id, field_name, field_value);
