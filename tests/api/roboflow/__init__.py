"""Roboflow's monitoring API."""
