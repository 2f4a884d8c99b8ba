SET LOCAL search_path = truthline_data, truthline, public;

DROP TABLE step_batch, step_metric, step_name, execution;
