"""Events of Seldon Core's metrics server: what one holds, and how it is kept."""
