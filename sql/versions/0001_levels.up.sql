-- Levels of predictions and outcomes along both clocks. They are only described here; build_levels
-- (sql/machinery/) builds them once the migrations have run.
--
-- A level counts the rows of a table in advance, by (learned span, event bucket, series, key).
-- `learned` follows the time of receipt, which only grows: a late or corrected truth adds a cell at
-- the end, and existing cells never change. Levels are named subject_event_learned: outcome_5m_1d
-- has event buckets of five minutes and learned spans of a day.
--
-- On TimescaleDB Community, levels are continuous aggregates; elsewhere they are tables with the same
-- columns, which rollup appends to. Both are computed by the expressions in `level_column`, and so
-- are the raw rows of an answer.
SET LOCAL search_path = truthline_data, truthline, public;

-- subject: what levels count.
-- Grain   one row per subject. `source` is the raw table; rows that don't meet `condition` are not
--         counted. `row_count` is the column of its cells that counts rows: the weights of a
--         corrected truth add up to 0, so `n` can't show whether both of its rows are there.
-- Writer  migrations                    Reader  build_levels, rollup, the planner
CREATE TABLE subject (
    name      text PRIMARY KEY,
    source    text NOT NULL,
    condition text NOT NULL DEFAULT 'true',
    row_count text NOT NULL DEFAULT 'n'
);
INSERT INTO subject (name, source, condition, row_count) VALUES
    ('outcome', 'outcome', 'true', 'n_rows'),
    ('prediction', 'prediction', 'true', 'n'),
    ('score', 'prediction', 'NOT failed AND num_nonnulls(confidence, value) > 0', 'n'),
    ('latency', 'prediction', 'starts_request AND latency_seconds IS NOT NULL', 'n');

-- level_column: columns of a subject's cells in addition to learned, bucket and series_id.
-- Grain   one row per column. `expression` is the value of one raw row: a `summed` column holds the
--         sum over the cell's rows, a `collected` one all of their values, in order; the others are
--         keys.
-- Units   `n` counts raw rows, and a withdrawn truth as -1; confidence is a fraction of 1, latency
--         in seconds, error = predicted - actual. A failed request has no outputs: its class,
--         confidence, value and latency are not counted as such.
-- Writer  migrations                    Reader  build_levels, rollup, the planner
CREATE TABLE level_column (
    subject    text    NOT NULL REFERENCES subject (name),
    place      integer NOT NULL,
    name       text    NOT NULL,
    type       text    NOT NULL,
    summed     boolean NOT NULL DEFAULT false,
    collected  boolean NOT NULL DEFAULT false,
    expression text    NOT NULL,
    PRIMARY KEY (subject, place)
);
-- keys
INSERT INTO level_column (subject, place, name, type, expression) VALUES
    ('outcome', 1, 'predicted_label', 'integer', 'predicted_label'),
    ('outcome', 2, 'actual_label', 'integer', 'actual_label'),
    ('prediction', 1, 'label_id', 'integer', 'CASE WHEN NOT failed THEN label_id END'),
    ('score', 1, 'label_id', 'integer', 'label_id'),
    ('score', 2, 'bin', 'integer',
     'coalesce(truthline_data.confidence_bin(confidence), truthline_data.value_bin(value))'),
    ('latency', 1, 'bin', 'integer', 'truthline_data.latency_bin(latency_seconds)');
INSERT INTO level_column (subject, place, name, type, summed, expression) VALUES
    ('outcome', 3, 'n', 'bigint', true, 'weight'),
    ('outcome', 4, 'sum_error', 'numeric', true,
     'weight * truthline_data.error_of(predicted_value, actual_value)'),
    ('outcome', 5, 'sum_absolute_error', 'numeric', true,
     'weight * abs(truthline_data.error_of(predicted_value, actual_value))'),
    ('outcome', 6, 'sum_squared_error', 'numeric', true,
     'weight * truthline_data.error_squared(predicted_value, actual_value)'),
    ('outcome', 7, 'sum_actual', 'numeric', true,
     'weight * truthline_data.every_digit(actual_value)'),
    ('outcome', 8, 'sum_squared_actual', 'numeric', true,
     'weight * truthline_data.every_digit_squared(actual_value)'),
    ('outcome', 9, 'n_percentage', 'bigint', true,
     'CASE WHEN abs(actual_value) >= 1e-150 THEN weight END'),
    ('outcome', 10, 'sum_percentage_error', 'numeric', true,
     'weight * truthline_data.percentage_error(predicted_value, actual_value)'),
    ('outcome', 11, 'n_rows', 'bigint', true, '1'),
    ('prediction', 2, 'n_requests', 'bigint', true, 'starts_request::integer'),
    ('prediction', 3, 'n_failed', 'bigint', true, '(starts_request AND failed)::integer'),
    ('prediction', 4, 'n_label_requests', 'bigint', true, '(starts_label AND NOT failed)::integer'),
    ('prediction', 5, 'n', 'bigint', true, '1'),
    ('prediction', 6, 'n_confidence', 'bigint', true,
     'CASE WHEN failed THEN 0 ELSE num_nonnulls(confidence) END'),
    ('prediction', 7, 'sum_confidence', 'numeric', true,
     'CASE WHEN NOT failed THEN truthline_data.exact(confidence) END'),
    ('prediction', 8, 'n_value', 'bigint', true,
     'CASE WHEN failed THEN 0 ELSE num_nonnulls(value) END'),
    ('prediction', 9, 'sum_value', 'numeric', true,
     'CASE WHEN NOT failed THEN truthline_data.exact(value) END'),
    ('prediction', 10, 'n_latency', 'bigint', true,
     '(starts_request AND latency_seconds IS NOT NULL)::integer'),
    ('prediction', 11, 'sum_latency', 'numeric', true,
     'CASE WHEN starts_request THEN truthline_data.exact(latency_seconds) END'),
    ('prediction', 12, 'n_output_latency', 'bigint', true,
     'CASE WHEN failed THEN 0 ELSE num_nonnulls(latency_seconds) END'),
    ('prediction', 13, 'sum_output_latency', 'numeric', true,
     'CASE WHEN NOT failed THEN truthline_data.exact(latency_seconds) END'),
    ('score', 3, 'n', 'bigint', true, '1'),
    ('latency', 2, 'n', 'bigint', true, '1');
-- Every number of a cell, in order: a quantile reads the cells of its bin instead of rows.
INSERT INTO level_column (subject, place, name, type, collected, expression) VALUES
    ('score', 4, 'numbers', 'float8[]', true, 'coalesce(confidence, value)'),
    ('latency', 3, 'numbers', 'float8[]', true, 'latency_seconds');

-- level: the levels, and how far they are folded and audited.
-- Grain    one row per level, in the order in which they are refreshed: each is computed from
--          `source`, the raw table or a finer level. Arrays of hours can't be summed to one of a
--          day, so every level that collects numbers is computed from rows.
-- Units    a folded level holds every row received before `learned_until`; every span before
--          `audited_until` was audited at least once.
-- Writer   migrations; rollup moves `learned_until` in the transaction that folds, and
--          `audited_until` after each audit
-- Reader   truthline.levels, the planner, rollup
CREATE TABLE level (
    place         integer     PRIMARY KEY,
    name          text        NOT NULL UNIQUE,
    subject       text        NOT NULL REFERENCES subject (name),
    event_width   interval    NOT NULL,
    learned_width interval    NOT NULL,
    source        text        NOT NULL,
    kept_by       text        NOT NULL DEFAULT 'fold' CHECK (kept_by IN ('fold', 'timescaledb')),
    learned_until timestamptz NOT NULL DEFAULT '-infinity',
    audited_until timestamptz NOT NULL DEFAULT '-infinity'
);
-- Predictions are learned as they are made, so daily learned spans would save nothing over hourly
-- ones, and cells of a minute would be as many as rows. docs/decisions/0003-levels.md has the figures.
INSERT INTO level (place, name, subject, event_width, learned_width, source) VALUES
    (1, 'outcome_5m_1h', 'outcome', '5 minutes', '1 hour', 'outcome'),
    (2, 'outcome_1h_1h', 'outcome', '1 hour', '1 hour', 'outcome_5m_1h'),
    (3, 'outcome_5m_1d', 'outcome', '5 minutes', '1 day', 'outcome_5m_1h'),
    (4, 'outcome_1h_1d', 'outcome', '1 hour', '1 day', 'outcome_1h_1h'),
    (5, 'outcome_1d_1d', 'outcome', '1 day', '1 day', 'outcome_1h_1d'),
    (6, 'outcome_1h_1mo', 'outcome', '1 hour', '1 month', 'outcome_1h_1d'),
    (7, 'outcome_1d_1mo', 'outcome', '1 day', '1 month', 'outcome_1d_1d'),
    (8, 'prediction_5m_1h', 'prediction', '5 minutes', '1 hour', 'prediction'),
    (9, 'prediction_1h_1h', 'prediction', '1 hour', '1 hour', 'prediction_5m_1h'),
    (10, 'prediction_1d_1d', 'prediction', '1 day', '1 day', 'prediction_1h_1h'),
    (11, 'score_1h_1h', 'score', '1 hour', '1 hour', 'prediction'),
    (12, 'score_1d_1d', 'score', '1 day', '1 day', 'prediction'),
    (13, 'latency_1h_1h', 'latency', '1 hour', '1 hour', 'prediction'),
    (14, 'latency_1d_1d', 'latency', '1 day', '1 day', 'prediction');

-- audit_fault: spans whose cells did not match the rows that they count.
--
-- Grain    one row per (level, learned span) and discovery. While `healed_at` is NULL, no answer
--          reads the level from that span on.
-- Units    `n_rows` is the number of rows in the source, `n_counted` the number that the cells count.
-- Writer   rollup                      Reader  truthline.levels, `truthline status`, /metrics
CREATE TABLE audit_fault (
    level         text        NOT NULL REFERENCES level (name) ON UPDATE CASCADE ON DELETE CASCADE,
    learned_from  timestamptz NOT NULL,
    learned_until timestamptz NOT NULL,
    n_rows        bigint      NOT NULL,
    n_counted     bigint      NOT NULL,
    found_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    healed_at     timestamptz
);
CREATE UNIQUE INDEX audit_fault_open ON audit_fault (level, learned_from) WHERE healed_at IS NULL;

-- retention: from when on each table still has its rows.
-- Grain    one row per raw table or level from which rows were dropped.
-- Writer   rollup, in the transaction that drops
-- Reader   the planner, truthline.levels
CREATE TABLE retention (
    relation text        PRIMARY KEY,
    since    timestamptz NOT NULL
);

-- upkeep_lock: always empty; the worker that does the housekeeping locks the table.
-- Why      any role that can connect can take an advisory lock; only a role with privileges on a
--          table can lock that.
CREATE TABLE upkeep_lock ();
