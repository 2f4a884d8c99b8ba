"""HTTP in and out, and nothing more: native endpoints, and one module per dialect."""
