SET LOCAL search_path = truthline_data, truthline, public;
DROP TABLE upkeep_lock;
DROP FUNCTION own_requests(integer[], uuid[]);
DROP TABLE request_lock;
