"""Health, service metrics, request ids and logs."""
