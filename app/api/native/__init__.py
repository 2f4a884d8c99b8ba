"""Truthline's own endpoints, under `/api/v1`."""
