"""Packages that only some of what is here needs."""

import importlib
from typing import Any


def extra(module: str, name: str) -> Any:
    """A module of the extra `name`.

    Raises:
        ImportError: it isn't installed; says how to.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"this needs {package}; install it with: pip install 'truthline[{name}]'"
        ) from error
