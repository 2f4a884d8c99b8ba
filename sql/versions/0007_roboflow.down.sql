SET LOCAL search_path = truthline_data, truthline, public;

DROP TABLE inference_metadata;
