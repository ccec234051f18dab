"""A database, and facts to put there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.store.facts import played
from xo_warmig.engine.store.database import Database, url_in
from xo_warmig.model.events import RecordedEvent


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty one."""
    database = Database(url_in(tmp_path))
    yield database
    database.close()


@pytest.fixture(scope="session")
def good_facts() -> list[RecordedEvent]:
    """Of a migration to its good end."""
    return played()


@pytest.fixture(scope="session")
def failed_facts() -> list[RecordedEvent]:
    """Of a migration to its failure."""
    return played(fails=True)
