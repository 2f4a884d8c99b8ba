"""Craft AI's metrics API."""
