-- Keys stay. Older code knows no end of a key: those that have expired are revoked, and those
-- that would expire later last until they are revoked.
SET LOCAL search_path = truthline_data, truthline, public;

DROP TABLE refresh_token;
DROP TABLE refresh_family;
DROP TABLE signing_secret;
UPDATE api_key SET revoked_at = expires_at WHERE revoked_at IS NULL AND expires_at <= now();
ALTER TABLE api_key
    DROP COLUMN name,
    DROP COLUMN prefix,
    DROP COLUMN expires_at,
    DROP COLUMN last_used_on;
