"""Schema revisions. Each runs frozen files of `sql/versions/`; `env.py` runs them."""
