"""Monitors: what is watched, what they find, and who is notified."""
