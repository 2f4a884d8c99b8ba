"""What the worker does again and again: refresh, join, forget, retain."""
