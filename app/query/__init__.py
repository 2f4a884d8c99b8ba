"""Questions, as functions from a connection to dataclasses. SQL, and no HTTP."""
