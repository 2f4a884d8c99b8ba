"""Plotly figures of results; `pip install 'truthline[plot]'`."""
