"""Optional packages."""

import importlib
from typing import Any


def extra(module: str, name: str) -> Any:
    """Import a module of the extra `name`.

    Raises:
        ImportError: it is not installed; the message states how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"this needs {package}; install it with: pip install 'truthline[{name}]'"
        ) from error
