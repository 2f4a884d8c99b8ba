-- Levels of outcome: cells counted beforehand, along both clocks.
--
-- Grain    one row per (learned span, event hour, series, predicted, actual). The spans of a
--          level follow the clock that only moves forward: hours, days, months of received_at.
-- Writer   app/rollup/fold.py; a level is folded from the one before it, the first from outcome.
-- Reader   truthline.outcome_cells
-- Why      grouping by when a truth was learned means that a late or corrected one is just
--          another row at the end: what is folded never changes. Each level folds the spans of
--          the one before it into one, so that old history comes to one row per event hour.
--          `n` may be 0 beside sums that are not: a correction within the span of its mistake.
SET LOCAL search_path = truthline_data, truthline, public;
CREATE TABLE outcome_1h (
    learned            timestamptz NOT NULL,
    bucket             timestamptz NOT NULL,
    n                  bigint      NOT NULL,
    series_id          integer     NOT NULL,
    predicted_label    integer,
    actual_label       integer,
    sum_absolute_error numeric,
    sum_squared_error  numeric
);
CREATE TABLE outcome_1d (LIKE outcome_1h);
CREATE TABLE outcome_1mo (LIKE outcome_1h);
CREATE INDEX outcome_1h_series_bucket ON outcome_1h (series_id, bucket);
CREATE INDEX outcome_1d_series_bucket ON outcome_1d (series_id, bucket);
CREATE INDEX outcome_1mo_series_bucket ON outcome_1mo (series_id, bucket);
-- learned is ascending in the first two: the next level reads a span of them
CREATE INDEX outcome_1h_learned ON outcome_1h USING brin (learned) WITH (pages_per_range = 32);
CREATE INDEX outcome_1d_learned ON outcome_1d USING brin (learned) WITH (pages_per_range = 32);

-- level: how far each level is folded.
-- Grain    one row per level.
-- Writer   app/rollup/fold.py, in the transaction that folds    Reader  truthline.clean_until
CREATE TABLE level (
    name          text        PRIMARY KEY,
    learned_until timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO level (name) VALUES ('outcome_1h'), ('outcome_1d'), ('outcome_1mo');
