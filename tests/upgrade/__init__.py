"""The release before this one, run against the schema of this one."""
