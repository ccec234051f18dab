"""Logs of changed blocks: what is marked, how logs follow each other, and what a kill and a crash leave of them."""

import random
from pathlib import Path

import pytest

from xo_warmig.errors import FormatError, NoSuchObject
from xo_warmig.simulator.storage import BLOCK, ChainStore
from xo_warmig.simulator.storage.change_bits import GRAIN, ChangeBits, bitmap_bytes, united
from xo_warmig.simulator.storage.change_logs import ChangeLogs

SIZE = 8 * BLOCK


def numbers(bits: bytes) -> list[int]:
    """The blocks of 64 KiB that are set, the highest bit of a byte first."""
    return [8 * at + bit for at, byte in enumerate(bits) for bit in range(8) if byte >> (7 - bit) & 1]


@pytest.fixture
def store(tmp_path: Path) -> ChainStore:
    """A tracked disk, with a first snapshot."""
    store = ChainStore(tmp_path)
    store.create("disk", SIZE)
    store.logs.begin("disk", SIZE, attached=False)
    store.logs.split("disk", "s1", attached=False)
    return store


def write(store: ChainStore, offset: int, length: int, uuid: str = "disk") -> None:
    with store.open(uuid, writable=True) as disk:
        disk.pwrite(offset, b"x" * length)


def changed(store: ChainStore, from_uuid: str, to_uuid: str) -> list[int]:
    return numbers(store.logs.changed(from_uuid, to_uuid))


def test_every_block_that_a_write_touches_is_marked(tmp_path: Path) -> None:
    """By the bits of a plain loop, for writes that begin and end anywhere within two megabytes."""
    bits, expected, source = ChangeBits(tmp_path / "bits"), set[int](), random.Random(1)
    for _ in range(200):
        block, begin = source.randrange(8), source.randrange(BLOCK)
        length = source.randrange(1, min(200_000, BLOCK - begin) + 1)
        bits.mark(block, begin, length)
        expected.update((block * BLOCK + at) // GRAIN for at in (begin, begin + length - 1))
        expected.update(range((block * BLOCK + begin) // GRAIN, (block * BLOCK + begin + length - 1) // GRAIN + 1))
    assert numbers(bits.read(SIZE)) == sorted(expected)


def test_writes_are_marked_before_they_are_done(store: ChainStore) -> None:
    """Whatever they write, also what was there before; and of other disks nothing."""
    write(store, 9 * GRAIN + 512, 512)
    write(store, 40 * GRAIN - 1, 2)
    assert changed(store, "s1", "disk") == [9, 39, 40]
    write(store, 9 * GRAIN + 512, 512)
    store.create("other", SIZE)
    write(store, 0, 512, "other")
    store.on_grow = lambda uuid, added: (_ for _ in ()).throw(OSError(28, "full"))
    with pytest.raises(OSError, match="full"):
        write(store, 200 * GRAIN, 512)
    assert changed(store, "s1", "disk") == [9, 39, 40, 200]


def test_logs_add_up_from_one_snapshot_to_another(store: ChainStore) -> None:
    """Everything after the first up to and with the second, in that order alone."""
    for number in (2, 3):
        write(store, number * GRAIN, 1)
        store.logs.split("disk", f"s{number}", attached=False)
    write(store, 5 * GRAIN, 1)
    assert changed(store, "s1", "s2") == [2]
    assert changed(store, "s1", "s3") == [2, 3]
    assert changed(store, "s1", "disk") == [2, 3, 5]
    assert changed(store, "s3", "disk") == [5]
    for pair in (("s2", "s1"), ("disk", "s1"), ("s1", "s1"), ("s1", "none"), ("none", "s1")):
        with pytest.raises(NoSuchObject):
            store.logs.changed(*pair)


def test_the_changes_of_a_destroyed_snapshot_are_not_lost(store: ChainStore) -> None:
    """They go to the log after it."""
    write(store, 2 * GRAIN, 1)
    store.logs.split("disk", "s2", attached=False)
    write(store, 3 * GRAIN, 1)
    store.logs.destroy("s2")
    assert changed(store, "s1", "disk") == [2, 3]
    store.logs.destroy("s1")
    store.logs.destroy("s1")
    assert not store.logs.exists("s1")


def test_a_snapshot_of_a_snapshot_goes_before_it(store: ChainStore) -> None:
    """And what leads to the disk still does."""
    write(store, GRAIN, 1)
    store.logs.split("disk", "s2", attached=False)
    store.logs.split("s2", "s3", attached=False)
    write(store, 7 * GRAIN, 1)
    assert (changed(store, "s1", "s3"), changed(store, "s1", "s2"), changed(store, "s3", "s2")) == ([1], [1], [])
    assert changed(store, "s1", "disk") == [1, 7]


def test_a_disk_that_was_untracked_in_between_is_unrelated(store: ChainStore) -> None:
    """Its snapshots are still related to each other."""
    store.logs.split("disk", "s2", attached=False)
    store.logs.end("disk")
    store.logs.begin("disk", SIZE, attached=False)
    assert changed(store, "s1", "s2") == []
    with pytest.raises(NoSuchObject):
        store.logs.changed("s1", "disk")


def test_a_larger_disk_has_more_bits(store: ChainStore) -> None:
    """New ones are clear; a snapshot that was grown afterwards contradicts the disk."""
    write(store, GRAIN, 1)
    store.logs.split("disk", "s2", attached=False)
    store.resize("disk", 2 * SIZE)
    store.logs.resize("disk", 2 * SIZE)
    write(store, SIZE + GRAIN, 1)
    assert len(store.logs.changed("s1", "disk")) == bitmap_bytes(2 * SIZE) == 2 * len(store.logs.changed("s1", "s2"))
    assert changed(store, "s1", "disk") == [1, SIZE // GRAIN + 1]
    store.logs.resize("s2", 3 * SIZE)
    with pytest.raises(FormatError):
        store.logs.changed("s1", "disk")


def test_a_killed_process_loses_nothing(store: ChainStore, tmp_path: Path) -> None:
    """Whoever opens the store next finds bits, links and flags; files that nobody knows go."""
    assert store.logs.open("disk")
    write(store, 3 * GRAIN, 1)
    (tmp_path / "changes" / "stray.bits").touch()
    again = ChainStore(tmp_path)
    assert changed(again, "s1", "disk") == [3]
    assert not again.logs.is_consistent("disk")
    assert not (tmp_path / "changes" / "stray.bits").exists()


def test_a_crashed_machine_loses_what_it_had_not_written(store: ChainStore, tmp_path: Path) -> None:
    """The log is not consistent, which is seen when it is opened; but whoever closes it makes it look so."""
    logs = store.logs
    assert logs.open("disk")
    write(store, GRAIN, 1)
    logs.close("disk")
    assert logs.open("disk")
    write(store, 5 * GRAIN, 1)
    logs.lose("disk")
    assert (changed(store, "s1", "disk"), logs.is_consistent("disk"), logs.open("disk")) == ([1], False, False)
    logs.close("disk")
    assert ChangeLogs(tmp_path / "changes").open("disk")


@pytest.mark.parametrize("attached", [True, False])
def test_a_snapshot_hides_that_a_log_was_inconsistent(store: ChainStore, attached: bool) -> None:
    """The disk's new log counts as open when the disk is attached, and that is all SM looks at."""
    assert store.logs.open("disk")
    store.logs.lose("disk")
    store.logs.split("disk", "s2", attached=attached)
    assert store.logs.is_consistent("s2")
    assert store.logs.is_consistent("disk") is not attached


def test_bits_of_different_lengths_are_united_from_the_start() -> None:
    """The longer one gives the length."""
    assert united(b"\x80", b"\x01\x10") == b"\x81\x10"
    assert united(b"", b"") == b""
