"""Events of Seldon Core's metrics server: what one contains, and how it is stored."""
