"""`python -m app.cli`: the command if its script isn't installed."""

from app.cli import main

if __name__ == "__main__":
    main(prog_name="truthline")
