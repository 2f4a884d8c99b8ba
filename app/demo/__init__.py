"""A demonstration: real models whose answers are replayed as if served over six hours.

`models` trains them, `timeline` tells what happened to them when, `replay` sends that through
ingest, `versions` asks how each version did, and `tables` shows it.
"""
