"""The embedded PostgreSQL: installed as a wheel, started and stopped with the service."""
