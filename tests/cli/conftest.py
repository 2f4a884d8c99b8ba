"""Commands that many tests run, without importing the program each time."""

from collections.abc import Callable, Iterator
from subprocess import CompletedProcess

import pytest

from tests.cli.forked import Forker, forker
from tests.cli.test_commands import environment


@pytest.fixture(scope="session")
def forked() -> Iterator[Forker]:
    """The process that has imported them."""
    with forker(environment()) as running:
        yield running


@pytest.fixture
def command(forked: Forker) -> Callable[..., CompletedProcess[str]]:
    """Run `truthline` as people do, without the environment of this suite."""

    def run(*arguments: object, **variables: str) -> CompletedProcess[str]:
        return forked.run(*arguments, env=environment(**variables))

    return run
