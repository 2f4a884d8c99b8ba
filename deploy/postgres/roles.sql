-- Roles and who may connect. psql runs this once, as superuser, when the database is made.
--
-- truthline_owner  owns the database and all that migrations make in it; no superuser
-- truthline_reader reads what grants.sql opens to it: the metrics of every workspace. Nobody logs in
--                  as it; whoever is to read all of them becomes a member
-- grafana_reader   is a member, for Grafana
--
-- psql takes the passwords from the environment and quotes them: no shell sees them.
\getenv owner_password TRUTHLINE_DB_PASSWORD
\getenv reader_password GRAFANA_DB_PASSWORD

CREATE ROLE truthline_owner LOGIN PASSWORD :'owner_password';
ALTER DATABASE :"DBNAME" OWNER TO truthline_owner;

CREATE ROLE truthline_reader;

-- A dashboard with too many panels should wait for itself, not starve the service.
CREATE ROLE grafana_reader LOGIN PASSWORD :'reader_password' CONNECTION LIMIT 20
    IN ROLE truthline_reader;
ALTER ROLE grafana_reader SET statement_timeout = '30s';
-- Only a default, which a session can change: what forbids writing is the lack of grants.
ALTER ROLE grafana_reader SET default_transaction_read_only = on;

-- By default every role may connect and make temporary tables.
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO truthline_reader;
