"""Guests that write files."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from xo_warmig.errors import FormatError, InvalidRequest
from xo_warmig.simulator.guests.file_writes import FileWrites, WrittenFile, content
from xo_warmig.simulator.guests.filesystem import ext4_bytes, find_tool
from xo_warmig.simulator.site import GuestConfig
from xo_warmig.simulator.storage import BLOCK, ChainStore


def _have_e2fsprogs() -> bool:
    try:
        return all(map(find_tool, ("mke2fs", "debugfs", "e2fsck")))
    except InvalidRequest:
        return False


needs_e2fsprogs = pytest.mark.skipif(not _have_e2fsprogs(), reason="e2fsprogs is not installed")
CONFIG = GuestConfig(kind="files", cluster=8192, seed=7, span=8 * BLOCK)


@pytest.fixture
def store(tmp_path: Path) -> ChainStore:
    store = ChainStore(tmp_path / "storage")
    store.create("a", 32 * BLOCK)
    return store


def check(store: ChainStore, uuid: str, files: list[WrittenFile], tmp_path: Path) -> None:
    """The file system is clean, and each file holds what it should."""
    image = tmp_path / "image.raw"
    store.save_image(uuid, image)
    subprocess.run([find_tool("e2fsck"), "-fn", str(image)], check=True, capture_output=True)
    for file in files:
        out = tmp_path / "out"
        out.unlink(missing_ok=True)
        subprocess.run(
            [find_tool("debugfs"), "-R", f"dump {file.name} {out}", str(image)], check=True, capture_output=True
        )
        assert hashlib.sha256(out.read_bytes()).hexdigest() == file.sha256, file.name


@needs_e2fsprogs
def test_files_are_on_the_disk_and_every_snapshot_is_clean(store: ChainStore, tmp_path: Path) -> None:
    """Also when the snapshot is taken between two writes, and the disk is written on."""
    with store.open("a", writable=True) as disk:
        writes = FileWrites([disk], CONFIG, tmp_path / "guests")
        writes.prepare()
        assert writes.write(5 * 8192) > 0
        files = writes.report()["files"]
        store.snapshot("a", "s", "b")
        writes.write(3 * 8192)
        writes.flush()
        check(store, "a", writes.report()["files"], tmp_path)
        writes.close()
    check(store, "s", files, tmp_path)
    assert list((tmp_path / "guests").iterdir()) == []


@needs_e2fsprogs
def test_a_copy_goes_on_where_the_original_stopped(store: ChainStore, tmp_path: Path) -> None:
    """The shadow is made from what the disk holds, so that another pool's guest finds its files."""
    store.create("copy", 32 * BLOCK)
    with store.open("a", writable=True) as disk:
        writes = FileWrites([disk], CONFIG, tmp_path / "one")
        writes.prepare()
        writes.write(4 * 8192)
        before = writes.report()["files"]
    store.copy("a", "copy")
    with store.open("copy", writable=True) as disk:
        again = FileWrites([disk], CONFIG, tmp_path / "two")
        again.prepare()
        assert again.report()["files"] == before
        assert (again.report()["damaged"], again.report()["repaired"]) == ([], False)
        again.write(2 * 8192)
        after = again.report()["files"]
    assert len(after) == len(before) + 2
    check(store, "copy", after, tmp_path)


@needs_e2fsprogs
def test_a_guest_sees_damage_when_it_starts(store: ChainStore, tmp_path: Path) -> None:
    """To a file, or to the file system itself, which it repairs."""
    with store.open("a", writable=True) as disk:
        writes = FileWrites([disk], CONFIG, tmp_path / "guests")
        writes.prepare()
        writes.write(8192)
        (file,) = writes.report()["files"]
        held = content(7, 0, file.bytes)
        at = disk.pread(0, 8 * BLOCK).index(held[:4096])
        disk.pwrite(at, b"damage")
        again = FileWrites([disk], CONFIG, tmp_path / "again")
        again.prepare()
        assert (again.report()["damaged"], again.report()["repaired"]) == ([file.name], False)
        disk.pwrite(4096, bytes(4096))  # the group descriptors
        again = FileWrites([disk], CONFIG, tmp_path / "again")
        again.prepare()
        assert again.report()["repaired"]
        check(store, "a", [], tmp_path)


@needs_e2fsprogs
def test_the_oldest_files_go_when_it_is_half_full(store: ChainStore, tmp_path: Path) -> None:
    """A guest may write for hours."""
    config = GuestConfig(kind="files", cluster=256 * 1024, seed=3, span=8 * BLOCK)
    with store.open("a", writable=True) as disk:
        writes = FileWrites([disk], config, tmp_path / "guests")
        writes.prepare()
        for _ in range(6):
            writes.write(8 * 256 * 1024)
        report = writes.report()
    assert report["bytes"] > 5 * BLOCK
    assert sum(file.bytes for file in report["files"]) <= 4 * BLOCK
    check(store, "a", report["files"], tmp_path)


@needs_e2fsprogs
def test_a_new_file_system_replaces_what_the_disk_held(store: ChainStore, tmp_path: Path) -> None:
    """Old bytes do not shine through."""
    with store.open("a", writable=True) as disk:
        disk.pwrite(0, b"\xaa" * (8 * BLOCK))
        writes = FileWrites([disk], CONFIG, tmp_path / "guests")
        writes.prepare()
        writes.write(2 * 8192)
        check(store, "a", writes.report()["files"], tmp_path)


@needs_e2fsprogs
def test_a_full_repository_ends_the_writing(store: ChainStore, tmp_path: Path) -> None:
    """The guest gets an I/O error, as from a real device."""

    def full(uuid: str, added: int) -> None:
        raise OSError(28, "No space left on device")

    store.on_grow = full
    with store.open("a", writable=True) as disk:
        writes = FileWrites([disk], CONFIG, tmp_path / "guests")
        with pytest.raises((OSError, FormatError), match="No space"):
            writes.prepare()


def test_what_is_no_superblock_is_no_file_system() -> None:
    """Zeros, for one."""
    assert ext4_bytes(bytes(1024)) == 0
