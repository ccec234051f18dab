"""libvhdi as judge, differencing VHDs included: as mounted by vhdimount where there is FUSE, and by its own binding.

The changes here begin at any sector but end at multiples of 4 KiB. libvhdi, up to 20260901 at least, takes all that follows the first
set bit of a bitmap's byte for set (``libvhdi_block_descriptor_read_sector_bitmap_data`` shifts the byte and masks nothing), so it sees
more sectors in a block than there are when a run ends within a byte.
"""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from xo_warmig.formats.vhd import Parent, VhdLayout, VhdPiece, VhdWriter, sector_bitmap, vhd_reader
from xo_warmig.model.extents import Extent, clip, normalise
from xo_warmig.model.units import MIB

BLOCK = 2 * MIB
SIZE_BYTES = 9 * MIB
BASE_ID, CHILD_ID, LAST_ID = UUID(int=0xB), UUID(int=0xC), UUID(int=0xD)


def digest(disk: bytes | bytearray) -> str:
    """Disks are compared by it: pytest would spend minutes on showing how two of them differ."""
    return hashlib.sha256(disk).hexdigest()


@pytest.fixture
def content() -> bytearray:
    """A disk with data in its first and its last block, the latter half as long as a block."""
    disk = bytearray(SIZE_BYTES)
    source = random.Random(2)
    disk[:BLOCK] = source.randbytes(BLOCK)
    disk[8 * MIB :] = source.randbytes(MIB)
    return disk


def write_full(path: Path, disk: bytearray, blocks: list[int], unique_id: UUID) -> None:
    writer = VhdWriter(len(disk), blocks, unique_id=unique_id)
    path.write_bytes(b"".join(writer.stream(lambda index: bytes(disk[index * BLOCK : (index + 1) * BLOCK]))))


def write_difference(path: Path, disk: bytearray, changed: list[Extent], unique_id: UUID, parent: Parent) -> None:
    """Just the changed sectors, by bitmap; the rest of each block is filled with what must not be seen."""
    blocks = sorted({extent.offset // BLOCK for extent in changed})

    def read_block(index: int) -> bytes:
        data = bytearray(b"\xee" * min(BLOCK, len(disk) - index * BLOCK))
        for extent in (e for e in changed if e.offset // BLOCK == index):
            start = extent.offset - index * BLOCK
            data[start : start + extent.length] = disk[extent.offset : extent.end]
        return bytes(data)

    def read_bitmap(index: int) -> bytes:
        return sector_bitmap([e for e in changed if e.offset // BLOCK == index], index * BLOCK)

    writer = VhdWriter(len(disk), blocks, unique_id=unique_id, parent=parent)
    path.write_bytes(b"".join(writer.stream(read_block, read_bitmap)))


def change(disk: bytearray, extents: list[Extent], seed: int) -> list[Extent]:
    """New data there; the extents."""
    source = random.Random(seed)
    changed = normalise(clip(extents, len(disk)))
    for extent in changed:
        disk[extent.offset : extent.end] = source.randbytes(extent.length)
    return changed


def our_view(path: Path, below: bytearray | None) -> bytearray:
    """The disk by our own reader, on top of what lies below."""
    layout, *pieces = vhd_reader().feed(path.read_bytes())
    assert isinstance(layout, VhdLayout)
    disk = bytearray(layout.size_bytes) if below is None else bytearray(below)
    for piece in pieces:
        assert isinstance(piece, VhdPiece)
        disk[piece.extent.offset : piece.extent.end] = piece.data
    return disk


@pytest.mark.parametrize("blocks", [[0, 4], [4, 0], [2, 4, 1, 0, 3]])
def test_libvhdi_reads_our_full_disks(
    libvhdi_reads: Callable[..., bytes], tmp_path: Path, content: bytearray, blocks: list[int]
) -> None:
    """In any order of the blocks."""
    image = tmp_path / "full.vhd"
    write_full(image, content, blocks, BASE_ID)
    assert digest(libvhdi_reads(image)) == digest(content)


def test_libvhdi_follows_our_chain(libvhdi_reads: Callable[..., bytes], tmp_path: Path, content: bytearray) -> None:
    """Two differences on a full disk: whole blocks, single sectors, and sectors changed twice; our reader sees the same."""
    base, child, last = tmp_path / "base.vhd", tmp_path / "child.vhd", tmp_path / "last.vhd"
    write_full(base, content, [0, 4], BASE_ID)
    extents = change(content, [Extent(BLOCK, BLOCK), Extent(512, 3584), Extent(8 * MIB + 3 * 4096 - 512, 512)], 3)
    write_difference(child, content, extents, CHILD_ID, Parent(unique_id=BASE_ID, name="base.vhd"))
    extents = change(content, [Extent(1024, 7168), Extent(7 * MIB + 2048, 2048), Extent(SIZE_BYTES - 512, 512)], 4)
    write_difference(last, content, extents, LAST_ID, Parent(unique_id=CHILD_ID, name="child.vhd"))
    assert digest(libvhdi_reads(last, child, base)) == digest(content)
    assert digest(our_view(last, our_view(child, our_view(base, None)))) == digest(content)


def test_libvhdi_sees_zeros_in_a_difference(libvhdi_reads: Callable[..., bytes], tmp_path: Path) -> None:
    """A block of zeros hides the parent's data: it must travel."""
    base, child = tmp_path / "base.vhd", tmp_path / "child.vhd"
    write_full(base, bytearray(b"\x77" * SIZE_BYTES), [0, 1, 2, 3, 4], BASE_ID)
    disk = bytearray(b"\x77" * SIZE_BYTES)
    disk[BLOCK : 2 * BLOCK] = bytes(BLOCK)
    write_difference(child, disk, [Extent(BLOCK, BLOCK)], CHILD_ID, Parent(unique_id=BASE_ID, name="base.vhd"))
    assert digest(libvhdi_reads(child, base)) == digest(disk)


def test_vhdiinfo_says_what_we_meant(vhdiinfo: Callable[..., str], tmp_path: Path, content: bytearray) -> None:
    """Type, size, identifiers and the parent's name."""
    base, child = tmp_path / "base.vhd", tmp_path / "child.vhd"
    write_full(base, content, [0, 4], BASE_ID)
    full = described(vhdiinfo(base))
    assert full["Disk type"] == "Dynamic"
    assert full["Media size"].endswith(f"({SIZE_BYTES} bytes)")
    assert full["Identifier"] == str(BASE_ID)
    write_difference(child, content, [Extent(0, 4096)], CHILD_ID, Parent(unique_id=BASE_ID, name="base.vhd"))
    difference = described(vhdiinfo(child))
    assert difference["Disk type"] == "Differential"
    assert difference["Parent identifier"] == str(BASE_ID)
    assert difference["Parent filename"] == "base.vhd"


def test_vhdiinfo_agrees_on_what_qemu_writes(
    vhdiinfo: Callable[..., str], qemu_img: Callable[..., str], tmp_path: Path
) -> None:
    """The same identifier and size as our reader finds."""
    image = tmp_path / "theirs.vhd"
    qemu_img("create", "-q", "-f", "vpc", "-o", "subformat=dynamic,force_size", image, "9M")
    layout = vhd_reader().feed(image.read_bytes())[0]
    assert isinstance(layout, VhdLayout)
    info = described(vhdiinfo(image))
    assert info["Identifier"] == str(layout.footer.unique_id)
    assert info["Media size"].endswith(f"({layout.size_bytes} bytes)")


def described(text: str) -> dict[str, str]:
    """The lines ``name : value`` of vhdiinfo."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}
