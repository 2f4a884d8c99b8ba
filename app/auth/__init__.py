"""Authentication and authorization: keys, tokens, sessions and workspaces."""
