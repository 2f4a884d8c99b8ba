"""What all endpoints use: access, bodies, errors, limits and the reference."""
