"""Validation and storage of everything that clients send."""
