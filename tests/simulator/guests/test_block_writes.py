"""Guests that write blocks."""

from pathlib import Path

import pytest

from xo_warmig.simulator.guests.block_writes import BlockWrites
from xo_warmig.simulator.site import GuestConfig
from xo_warmig.simulator.storage import BLOCK, ChainStore


@pytest.fixture
def store(tmp_path: Path) -> ChainStore:
    store = ChainStore(tmp_path)
    store.create("a", 16 * BLOCK)
    return store


def test_only_whole_clusters_are_written(store: ChainStore) -> None:
    """What is left of the budget stays unwritten."""
    with store.open("a", writable=True) as disk:
        writes = BlockWrites([disk], GuestConfig(kind="blocks", cluster=4096))
        writes.prepare()
        assert writes.write(4096 * 3 + 100) == 4096 * 3
        assert writes.write(4095) == 0
        assert writes.report()["writes"] == 3


def test_writes_stay_within_the_span(store: ChainStore) -> None:
    """So that a test knows how much can change."""
    with store.open("a", writable=True) as disk:
        writes = BlockWrites([disk], GuestConfig(kind="blocks", cluster=65536, span=2 * BLOCK))
        writes.prepare()
        writes.write(100 * 65536)
    assert store.allocated_blocks("a") == [0, 1]


def test_every_write_changes_something(store: ChainStore) -> None:
    """The same cluster never gets the same bytes twice."""
    with store.open("a", writable=True) as disk:
        writes = BlockWrites([disk], GuestConfig(kind="blocks", cluster=4096, span=4096))
        writes.prepare()
        seen = set()
        for _ in range(20):
            writes.write(4096)
            seen.add(disk.pread(0, 4096))
        writes.flush()
        seen.add(disk.pread(0, 4096))
    assert len(seen) == 21
