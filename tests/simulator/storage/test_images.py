"""Disks from and to files of this machine."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from xo_warmig.errors import NotEnoughSpace
from xo_warmig.simulator.storage import BLOCK, ChainStore
from xo_warmig.simulator.storage.images import image_size_bytes

needs_qemu = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(8 * BLOCK)
        file.seek(5 * BLOCK + 4096)
        file.write(random.Random(5).randbytes(100_000))
    return path


def loaded(tmp_path: Path, path: Path) -> tuple[ChainStore, bytes]:
    store = ChainStore(tmp_path / "storage")
    store.create("a", image_size_bytes(path))
    store.load_image("a", path)
    with store.open("a") as disk:
        return store, disk.pread(0, disk.size_bytes)


def test_a_raw_file_is_loaded_without_its_holes(tmp_path: Path, raw: Path) -> None:
    """Only blocks with data are allocated."""
    store, data = loaded(tmp_path, raw)
    assert data == raw.read_bytes()
    assert store.allocated_blocks("a") == [5]


@needs_qemu
@pytest.mark.parametrize("kind", ["qcow2", "vpc"])
def test_other_formats_are_converted(tmp_path: Path, raw: Path, kind: str) -> None:
    """qcow2 and VHD give the same disk."""
    path = tmp_path / f"disk.{kind}"
    options = ["-o", "force_size=on"] if kind == "vpc" else []
    subprocess.run(["qemu-img", "convert", "-O", kind, *options, str(raw), str(path)], check=True)
    _, data = loaded(tmp_path, path)
    assert data == raw.read_bytes()


def test_an_image_larger_than_the_disk_is_refused(tmp_path: Path, raw: Path) -> None:
    """Nothing is cut off quietly."""
    store = ChainStore(tmp_path / "storage")
    store.create("a", BLOCK)
    with pytest.raises(NotEnoughSpace):
        store.load_image("a", raw)


def test_a_saved_disk_is_sparse_and_the_same(tmp_path: Path, raw: Path) -> None:
    """What is zero becomes a hole."""
    store, data = loaded(tmp_path, raw)
    saved = tmp_path / "saved.raw"
    store.save_image("a", saved)
    assert saved.read_bytes() == data
    assert saved.stat().st_blocks * 512 < BLOCK
