-- Roles and their right to connect. psql runs this once, as superuser, when the database is created.
--
-- truthline_owner  owns the database and everything that migrations create in it; not a superuser
-- truthline_reader has the privileges of grants.sql: it reads the metrics of every workspace. A group
--                  role without login; make roles that may read all workspaces members of it
-- grafana_reader   is a member, used by Grafana
--
-- psql reads the passwords from the environment and quotes them, so no shell sees them.
\getenv owner_password TRUTHLINE_DB_PASSWORD
\getenv reader_password GRAFANA_DB_PASSWORD

CREATE ROLE truthline_owner LOGIN PASSWORD :'owner_password';
ALTER DATABASE :"DBNAME" OWNER TO truthline_owner;

CREATE ROLE truthline_reader;

-- A dashboard with too many panels should queue its own queries and not starve the service.
CREATE ROLE grafana_reader LOGIN PASSWORD :'reader_password' CONNECTION LIMIT 20
    IN ROLE truthline_reader;
ALTER ROLE grafana_reader SET statement_timeout = '30s';
-- Only a default that a session can change: writing is prevented by the missing privileges.
ALTER ROLE grafana_reader SET default_transaction_read_only = on;

-- By default every role may connect and create temporary tables.
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO truthline_reader;
