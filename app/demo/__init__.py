"""A demonstration: real models whose predictions are replayed as if served over six hours.

`models` trains them, `timeline` decides what happened when, `replay` sends that through ingest, and
`report` and `tables` show the metrics.
"""
