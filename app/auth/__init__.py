"""Who may ask, and for which workspace."""
