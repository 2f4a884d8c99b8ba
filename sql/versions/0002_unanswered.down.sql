-- Requests that wait for their response will not be counted as failed.
DROP INDEX truthline_data.event_pair_unanswered;
ALTER TABLE truthline_data.event_pair DROP COLUMN request;
