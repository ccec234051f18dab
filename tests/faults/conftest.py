"""The process that servers are forked from, and the points of good migrations, once for all tests of faults."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.faults.choosing import Point
from tests.faults.servers import Nursery, nursery
from tests.faults.sweep import VARIANTS, good_points


@pytest.fixture(scope="session")
def good(servers: Nursery, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Point]]:
    """Every point of a migration of each variant."""
    return asyncio.run(good_points(servers, tmp_path_factory.mktemp("good"), VARIANTS.values()))


@pytest.fixture(scope="session")
def servers() -> Iterator[Nursery]:
    with nursery() as opened:
        yield opened
