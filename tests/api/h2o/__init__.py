"""H2O's monitoring API."""
