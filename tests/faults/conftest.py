"""The process that servers are forked from, once for all tests of faults."""

from collections.abc import Iterator

import pytest

from tests.faults.servers import Nursery, nursery


@pytest.fixture(scope="session")
def servers() -> Iterator[Nursery]:
    with nursery() as opened:
        yield opened
