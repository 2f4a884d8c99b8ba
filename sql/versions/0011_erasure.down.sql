-- Forgets what was erased.
DROP TABLE truthline_data.erasure;
