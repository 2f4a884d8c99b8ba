"""What is precomputed, and how far it is clean."""
