"""What every endpoint stands on: access, bodies, errors, limits and the reference."""
