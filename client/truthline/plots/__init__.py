"""Figures of answers, by plotly; `pip install 'truthline[plot]'`."""
