"""Endpoints for operators: probes and `/metrics`."""
