"""URLs of databases as people write them."""

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

# The driver is psycopg; these are other names for what it takes, libpq's parameters included.
TAKEN = {
    *("postgres", "postgresql", "postgresql+psycopg"),
    *("postgresql+psycopg2", "postgresql+psycopg2cffi", "postgres+psycopg", "postgres+psycopg2"),
}
EXAMPLE = "postgresql://user:password@host/name"


def sqlalchemy_url(url: str) -> URL:
    """Parse a URL; all names of PostgreSQL and of drivers on libpq mean psycopg 3 here.

    Raises:
        ValueError: it is not one of PostgreSQL. The message contains no part that may be secret.
    """
    try:
        parsed = make_url(url.strip())
    except (ArgumentError, ValueError):
        raise ValueError(f"a database's URL must be like {EXAMPLE}{_hint(url)}") from None
    if parsed.drivername not in TAKEN:
        raise ValueError(_refusal(parsed.drivername))
    if "@" in (parsed.host or ""):  # a part of the password, which errors would show
        raise ValueError("in a database's URL, an @ in the password must be written as %40")
    return parsed.set(drivername="postgresql+psycopg")


def _hint(url: str) -> str:
    if url.startswith("jdbc:"):
        return ": this one is for JDBC"
    if "host=" in url or "dbname=" in url:
        return ": this is a list of parameters"
    return "; special characters in the password must be percent-encoded"


def _refusal(driver: str) -> str:
    name, _, adapter = driver.partition("+")
    if name in ("postgres", "postgresql"):
        return f"the driver {adapter} is not used here: write {EXAMPLE}"
    return f"Truthline needs PostgreSQL, not {name}: write {EXAMPLE}"
