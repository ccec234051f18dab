"""The process that servers are forked from, and the points of good migrations, each once for the tests of faults of one process."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from tests.faults.choosing import Point
from tests.faults.servers import Nursery, nursery
from tests.faults.sweep import VARIANTS, good_points

Good = Callable[..., dict[str, list[Point]]]


@pytest.fixture(scope="session")
def good(servers: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Good:
    """Gives every point of a migration of each of the variants that are named."""
    known: dict[str, list[Point]] = {}

    def points(*names: str) -> dict[str, list[Point]]:
        missing = [VARIANTS[name] for name in names if name not in known]
        known.update(asyncio.run(good_points(servers, tmp_path_factory.mktemp("good"), missing)) if missing else {})
        return {name: known[name] for name in names}

    return points


@pytest.fixture(scope="session")
def servers() -> Iterator[Nursery]:
    with nursery() as opened:
        yield opened
