"""Seldon's metrics API, as its model performance metrics server has it."""
