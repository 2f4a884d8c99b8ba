"""Precomputed levels: refresh, audit and retention."""
