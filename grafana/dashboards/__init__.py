"""The dashboards, as code: `python -m grafana.dashboards` writes them for Grafana to read."""
