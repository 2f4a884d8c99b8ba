-- A hypertable can't be turned back into a table; its rows go into a plain one of the same
-- shape, which then takes its name.
SET LOCAL search_path = truthline_data, truthline, public;
CREATE TABLE plain_prediction (LIKE prediction INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
INSERT INTO plain_prediction SELECT * FROM prediction;
DROP TABLE prediction;
ALTER TABLE plain_prediction RENAME TO prediction;
CREATE TABLE plain_outcome (LIKE outcome INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
INSERT INTO plain_outcome SELECT * FROM outcome;
DROP TABLE outcome;
ALTER TABLE plain_outcome RENAME TO outcome;
