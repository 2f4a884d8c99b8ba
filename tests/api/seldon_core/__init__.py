"""Seldon Core's events and metrics server."""
