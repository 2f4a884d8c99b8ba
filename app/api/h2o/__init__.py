"""H2O MLOps: deployments, their monitoring, and the token endpoint its client logs in at."""
