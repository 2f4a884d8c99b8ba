"""Craft AI: metrics of pipeline executions."""
