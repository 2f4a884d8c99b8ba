"""Truthline: what models predicted, what turned out true, and the metrics of both.

Data moves right, imports point left:

    ingest -> store -> rollup -> query -> api | web | cli
"""
