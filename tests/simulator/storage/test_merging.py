"""The rules of the garbage collector, on chains without records."""

import threading
from pathlib import Path

import pytest

from xo_warmig.simulator.storage import BLOCK, ChainStore
from xo_warmig.simulator.storage.merging import StepKind


@pytest.fixture
def store(tmp_path: Path) -> ChainStore:
    """A disk ``a`` with three snapshots, each with a block of its own in front."""
    store = ChainStore(tmp_path)
    store.create("a", 6 * BLOCK)
    for number in (1, 2, 3):
        write(store, number, f"data{number}".encode())
        store.snapshot("a", f"s{number}", f"b{number}")
    write(store, 4, b"data4")
    return store


def write(store: ChainStore, block: int, data: bytes) -> None:
    with store.open("a", writable=True) as disk:
        disk.pwrite(block * BLOCK, data)


def read(store: ChainStore, uuid: str) -> bytes:
    with store.open(uuid) as disk:
        return disk.pread(0, disk.size_bytes)


def collect(store: ChainStore) -> list[StepKind]:
    kinds = []
    while step := store.coalesce_once():
        kinds.append(step.kind)
    return kinds


def test_a_chain_in_use_is_left_alone(store: ChainStore) -> None:
    """Each base copy has a snapshot that needs it."""
    assert collect(store) == []
    assert store.depth("a") == 4


def test_an_inner_image_is_merged_into_its_parent(store: ChainStore) -> None:
    """When the snapshot between them is gone, and nobody sees a difference."""
    before = {uuid: read(store, uuid) for uuid in ("a", "s2", "s3")}
    store.destroy("s1")
    assert collect(store) == [StepKind.MERGE]
    assert {uuid: read(store, uuid) for uuid in before} == before
    assert store.depth("a") == 3
    assert store.changed_blocks("a", "s3") == [4]
    assert store.changed_blocks("s3", "s2") == [3]


def test_the_last_leaf_takes_over_its_parent(store: ChainStore) -> None:
    """Without snapshots a disk ends up as one image again."""
    before = read(store, "a")
    for uuid in ("s1", "s2", "s3"):
        store.destroy(uuid)
    kinds = collect(store)
    assert kinds[-1] == StepKind.LEAF
    assert store.uuids() == ["a"]
    assert read(store, "a") == before
    assert not store.image("a").hidden


def test_hidden_images_without_children_are_deleted(store: ChainStore) -> None:
    """All the way down."""
    for uuid in ("a", "s1", "s2", "s3"):
        store.destroy(uuid)
    collect(store)
    assert store.uuids() == []
    assert list(store.directory.glob("*.blocks")) == []


def test_a_reader_keeps_reading_through_a_merge(store: ChainStore) -> None:
    """Descriptors that were handed out stay good until the disk is closed."""
    import os

    with store.open("a") as disk:
        segment = disk.segment(2)
        assert segment is not None
        store.destroy("s1")
        store.destroy("s2")
        collect(store)
        assert os.pread(segment[0], 5, segment[1]) == b"data2"
        assert disk.pread(2 * BLOCK, 5) == b"data2"


def test_a_writer_goes_on_after_a_merge(store: ChainStore) -> None:
    """An open disk follows its image."""
    with store.open("a", writable=True) as disk:
        for uuid in ("s1", "s2", "s3"):
            store.destroy(uuid)
        collect(store)
        disk.pwrite(0, b"later")
    assert read(store, "a")[:5] == b"later"


def test_images_that_may_not_be_touched_are_left(store: ChainStore) -> None:
    """An SR can say so."""
    store.destroy("s1")
    assert store.coalesce_once(lambda uuid: False) is None


def test_who_may_be_touched_is_asked_with_no_lock_held(tmp_path: Path) -> None:
    """The answer needs the records' lock, whose holder may be waiting for a chain: asked under a chain's lock, both wait for ever."""
    store = ChainStore(tmp_path)
    store.create("a", 4 << 20)
    free: list[bool] = []

    def allowed(uuid: str) -> bool:
        def look() -> None:
            taken = store.lock.acquire(timeout=1)
            free.append(taken)
            if taken:
                store.lock.release()

        other = threading.Thread(target=look)
        other.start()
        other.join()
        return True

    store.coalesce_once(allowed)
    assert free == [True]
