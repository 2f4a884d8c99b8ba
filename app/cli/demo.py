"""`truthline demo`: real models, replayed."""

import click


@click.command()
def demo() -> None:
    """Placeholder until the next commit."""
