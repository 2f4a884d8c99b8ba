"""Seldon's model performance metrics."""
