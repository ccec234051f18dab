"""Chains of images."""

import hashlib
import random
from pathlib import Path

import pytest

from xo_warmig.errors import InvalidRequest, NoSuchObject
from xo_warmig.simulator.storage import BLOCK, ChainStore, image_bytes


@pytest.fixture
def store(tmp_path: Path) -> ChainStore:
    return ChainStore(tmp_path / "storage")


def write(store: ChainStore, uuid: str, offset: int, data: bytes) -> None:
    with store.open(uuid, writable=True) as disk:
        disk.pwrite(offset, data)


def read(store: ChainStore, uuid: str) -> bytes:
    with store.open(uuid) as disk:
        return disk.pread(0, disk.size_bytes)


def test_a_new_image_reads_as_zeros_and_is_rounded_up(store: ChainStore) -> None:
    """Sizes are whole blocks."""
    store.create("a", 3 * 1024 * 1024 + 5)
    assert store.virtual_size_bytes("a") == 2 * BLOCK
    assert read(store, "a") == bytes(2 * BLOCK)
    assert store.allocated_blocks("a") == []


def test_a_write_across_blocks_is_read_back(store: ChainStore) -> None:
    """A write may begin in one block and end in the next."""
    store.create("a", 4 * BLOCK)
    data = random.Random(1).randbytes(BLOCK)
    write(store, "a", BLOCK // 2, data)
    assert read(store, "a") == bytes(BLOCK // 2) + data + bytes(5 * BLOCK // 2)
    assert store.allocated_blocks("a") == [0, 1]


def test_a_snapshot_keeps_what_was_there(store: ChainStore) -> None:
    """Writes after it copy the block up and change the active disk only."""
    store.create("a", 2 * BLOCK)
    write(store, "a", 0, b"old" * 1000)
    assert store.snapshot("a", "s", "base") == "base"
    write(store, "a", 512, b"new")
    assert read(store, "s")[:3000] == b"old" * 1000
    now = read(store, "a")
    assert now[512:515] == b"new"
    assert now[:512] == (b"old" * 1000)[:512]
    assert (store.parent("a"), store.parent("s"), store.parent("base")) == ("base", "base", None)


def test_a_snapshot_of_an_empty_image_makes_no_base_copy(store: ChainStore) -> None:
    """Both hang on the grandparent."""
    store.create("a", BLOCK)
    assert store.snapshot("a", "s", "base") is None
    assert store.depth("s") == 1
    write(store, "a", 0, b"x")
    assert store.snapshot("a", "t", "base2") == "base2"
    assert store.snapshot("a", "u", "base3") is None
    assert store.parent("u") == "base2"


def test_changed_blocks_are_the_symmetric_difference_of_the_chains(store: ChainStore) -> None:
    """Blocks written on either side since the chains parted, and no others."""
    store.create("a", 8 * BLOCK)
    write(store, "a", 0, b"x")
    store.snapshot("a", "s1", "b1")
    write(store, "a", 3 * BLOCK, b"x")
    store.snapshot("a", "s2", "b2")
    write(store, "a", 5 * BLOCK, b"x")
    assert store.changed_blocks("s2", "s1") == [3]
    assert store.changed_blocks("a", "s1") == [3, 5]
    assert store.changed_blocks("a", "s2") == [5]
    assert store.allocated_blocks("s1") == [0]
    write(store, "s1", 7 * BLOCK, b"x")
    assert store.changed_blocks("s2", "s1") == [3, 7]


def test_what_was_written_is_there_for_another_store(tmp_path: Path) -> None:
    """Nothing has to be closed or flushed for a restart to find it."""
    one = ChainStore(tmp_path)
    one.create("a", 4 * BLOCK)
    write(one, "a", 3 * BLOCK, b"x" * 4096)
    one.snapshot("a", "s", "b")
    write(one, "a", 0, b"y")
    other = ChainStore(tmp_path)
    assert read(other, "a") == read(one, "a")
    assert read(other, "s") == read(one, "s")
    assert other.depth("a") == 2


def test_files_without_an_entry_are_removed(tmp_path: Path) -> None:
    """What a killed process had not entered in the index is rubbish."""
    ChainStore(tmp_path)
    (tmp_path / "0123.blocks").write_bytes(b"x")
    ChainStore(tmp_path)
    assert list(tmp_path.glob("*.blocks")) == []


def test_resize_grows_only(store: ChainStore) -> None:
    """The new part reads as zeros."""
    store.create("a", BLOCK)
    write(store, "a", 0, b"x")
    store.resize("a", 3 * BLOCK)
    assert read(store, "a") == b"x" + bytes(3 * BLOCK - 1)
    with pytest.raises(InvalidRequest, match="shrinking"):
        store.resize("a", BLOCK)


def test_destroy_removes_the_file(store: ChainStore) -> None:
    """And the uuid is unknown then."""
    store.create("a", BLOCK)
    write(store, "a", 0, b"x")
    store.destroy("a")
    assert not store.exists("a")
    assert list(store.directory.glob("*.blocks")) == []
    with pytest.raises(NoSuchObject):
        store.open("a")


def test_physical_bytes_follow_the_vhd_formula() -> None:
    """An empty 16 MiB image takes a page of tables."""
    assert image_bytes(16 * 1024 * 1024, 0) == 4096
    assert image_bytes(16 * 1024 * 1024, 2) == 4096 + 2 * (BLOCK + 4096)


def test_writes_beyond_the_end_fail(store: ChainStore) -> None:
    """With the error that a device gives."""
    store.create("a", BLOCK)
    with pytest.raises(OSError, match="beyond the end"):
        write(store, "a", BLOCK - 1, b"xy")


def test_a_disk_opened_for_reading_refuses_writes(store: ChainStore) -> None:
    """Read-only means it."""
    store.create("a", BLOCK)
    with store.open("a") as disk, pytest.raises(OSError, match="for reading"):
        disk.pwrite(0, b"x")


def test_growth_is_asked_for_once_a_block(store: ChainStore) -> None:
    """So that a repository can say no before anything is written."""
    asked: list[tuple[str, int]] = []
    store.on_grow = lambda uuid, added: asked.append((uuid, added))
    store.create("a", 4 * BLOCK)
    write(store, "a", 0, b"x")
    write(store, "a", 100, b"x")
    write(store, "a", BLOCK, bytes(2 * BLOCK))
    assert asked == [("a", BLOCK + 4096)] * 3


def test_segments_name_the_file_of_each_block(store: ChainStore) -> None:
    """Whole blocks, wherever in the chain they are; None for zeros."""
    import os

    store.create("a", 3 * BLOCK)
    write(store, "a", 0, b"lower")
    store.snapshot("a", "s", "b")
    write(store, "a", BLOCK, b"upper")
    with store.open("a") as disk:
        found = [disk.segment(block) for block in range(3)]
        assert found[2] is None
        assert [os.pread(*_at(segment)) for segment in found[:2]] == [b"lower", b"upper"]


def _at(segment: tuple[int, int] | None) -> tuple[int, int, int]:
    assert segment is not None
    return segment[0], 5, segment[1]


def test_copy_moves_all_blocks_or_those_since_a_base(store: ChainStore) -> None:
    """The blocks of a copy are those that were asked for."""
    for uuid in ("a", "all", "delta"):
        store.create(uuid, 3 * BLOCK)
    write(store, "a", 0, b"one")
    store.snapshot("a", "s", "b")
    write(store, "a", BLOCK, b"two")
    store.copy("a", "all")
    store.copy("a", "delta", base_uuid="s")
    assert read(store, "all") == read(store, "a")
    assert store.allocated_blocks("delta") == [1]


def test_readinto_fills_a_buffer_across_the_chain(store: ChainStore) -> None:
    """It agrees with pread."""
    store.create("a", 3 * BLOCK)
    write(store, "a", BLOCK - 3, b"abcdef")
    store.snapshot("a", "s", "b")
    write(store, "a", 2 * BLOCK, b"x")
    buffer = bytearray(b"\xff" * (3 * BLOCK))
    with store.open("a") as disk:
        disk.readinto(0, memoryview(buffer))
    assert hashlib.sha256(buffer).digest() == hashlib.sha256(read(store, "a")).digest()
