"""HTTP in and out, and nothing more: our own endpoints, and a folder per dialect."""
