-- Recent levels: cells of what was received since the last whole learned hour.
--
-- They are folded every few seconds, up to any instant, and emptied as soon as the levels of learned
-- hours count the same rows. So an answer reads one by one only the rows of the last seconds. They are
-- tables that app/rollup/recent.py fills in every edition, also where TimescaleDB keeps the other levels.
SET LOCAL search_path = truthline_data, truthline, public;

-- level.recent, level.learned_since: a recent level holds every row received in
-- [learned_since, learned_until). Its `learned_width` is that of an instant, because its spans end
-- anywhere.
ALTER TABLE level
    ADD COLUMN recent boolean NOT NULL DEFAULT false,
    ADD COLUMN learned_since timestamptz NOT NULL DEFAULT '-infinity';

-- One for each level of learned hours, so that a question reads cells as wide as those of hours.
INSERT INTO level (place, name, subject, event_width, learned_width, source, recent) VALUES
    (101, 'outcome_5m_recent', 'outcome', '5 minutes', '1 microsecond', 'outcome', true),
    (102, 'outcome_1h_recent', 'outcome', '1 hour', '1 microsecond', 'outcome_5m_recent', true),
    (103, 'scored_5m_recent', 'scored', '5 minutes', '1 microsecond', 'outcome', true),
    (104, 'scored_1h_recent', 'scored', '1 hour', '1 microsecond', 'scored_5m_recent', true),
    (105, 'ranked_1h_recent', 'ranked', '1 hour', '1 microsecond', 'outcome', true),
    (106, 'deviation_5m_recent', 'deviation', '5 minutes', '1 microsecond', 'outcome', true),
    (107, 'deviation_1h_recent', 'deviation', '1 hour', '1 microsecond', 'deviation_5m_recent', true),
    (108, 'prediction_5m_recent', 'prediction', '5 minutes', '1 microsecond', 'prediction', true),
    (109, 'prediction_1h_recent', 'prediction', '1 hour', '1 microsecond', 'prediction_5m_recent', true),
    (110, 'score_1h_recent', 'score', '1 hour', '1 microsecond', 'prediction', true),
    (111, 'latency_1h_recent', 'latency', '1 hour', '1 microsecond', 'prediction', true);
-- They begin with what is received from now on, until app/rollup/recent.py lets them begin where hours
-- end: so a worker of the previous release, which takes them for levels like the others, folds little.
UPDATE level SET learned_since = now(), learned_until = now(), audited_until = now() WHERE recent;
