"""What all dialects share: access, bodies, errors, headers and tokens."""
