"""What an operator asks: probes and `/metrics`."""
