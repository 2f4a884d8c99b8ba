"""Seldon Core's metrics server: CloudEvents in, Prometheus metrics out."""
