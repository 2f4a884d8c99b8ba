"""Schema revisions. Each runs a frozen file of `sql/versions/`; `env.py` runs them."""
