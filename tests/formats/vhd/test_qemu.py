"""qemu-img as judge: it reads what we write, and we read what it writes. It knows no differencing VHDs."""

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from xo_warmig.formats.vhd import VhdLayout, VhdPiece, VhdWriter, stream_length, vhd_reader
from xo_warmig.formats.vhd.geometry import geometry_of
from xo_warmig.model.units import MIB

SIZE_BYTES = 21 * MIB + 512  # the last block is only partly on the disk
BLOCK = 2 * MIB


def digest(disk: bytes | bytearray) -> str:
    """Disks are compared by it: pytest would spend minutes on showing how two of them differ."""
    return hashlib.sha256(disk).hexdigest()


@pytest.fixture
def content() -> bytearray:
    """A disk with data in some of its blocks, the last one among them."""
    disk = bytearray(SIZE_BYTES)
    source = random.Random(1)
    for block in (0, 3, 4, 10):
        end = min((block + 1) * BLOCK, SIZE_BYTES)
        disk[block * BLOCK : end] = source.randbytes(end - block * BLOCK)
    return disk


def read_file(path: Path) -> tuple[VhdLayout, bytearray]:
    """The layout and the whole disk of a VHD file, by our reader."""
    raw = path.read_bytes()
    reader = vhd_reader()
    layout, *pieces = reader.feed(raw)
    assert isinstance(layout, VhdLayout)
    assert reader.result.unique_id == layout.footer.unique_id
    assert (reader.unused, stream_length(layout)) == (b"", len(raw))
    disk = bytearray(layout.size_bytes)
    for piece in pieces:
        assert isinstance(piece, VhdPiece)
        disk[piece.extent.offset : piece.extent.end] = piece.data
    return layout, disk


def write_file(path: Path, disk: bytearray, blocks: list[int], unique_id: UUID) -> None:
    writer = VhdWriter(len(disk), blocks, unique_id=unique_id)
    path.write_bytes(b"".join(writer.stream(lambda index: bytes(disk[index * BLOCK : (index + 1) * BLOCK]))))


def opened(path: Path) -> list[str]:
    """qemu-img takes the size from the geometry unless it knows the creator; XAPI's ``caml`` it does not know."""
    return ["--image-opts", f"driver=vpc,force_size_calc=current_size,file.filename={path}"]


@pytest.mark.parametrize("blocks", [[0, 3, 4, 10], [10, 4, 0, 3], list(range(11))])
def test_qemu_reads_what_we_write(
    qemu_img: Callable[..., str], tmp_path: Path, content: bytearray, unique_id: UUID, blocks: list[int]
) -> None:
    """In any order of the blocks, with blocks of zeros, and with a last block that is cut."""
    image, raw = tmp_path / "ours.vhd", tmp_path / "ours.raw"
    write_file(image, content, blocks, unique_id)
    qemu_img("convert", *opened(image), "-O", "raw", raw)
    assert digest(raw.read_bytes()) == digest(content)
    info = json.loads(qemu_img("info", "--output=json", *opened(image)))
    assert info["virtual-size"] == SIZE_BYTES


def test_qemu_maps_just_the_blocks_that_we_wrote(
    qemu_img: Callable[..., str], tmp_path: Path, content: bytearray, unique_id: UUID
) -> None:
    """What is not in the table is not there."""
    image = tmp_path / "ours.vhd"
    write_file(image, content, [3, 0], unique_id)
    parts = json.loads(qemu_img("map", "--output=json", *opened(image)))
    data = [(part["start"], part["length"]) for part in parts if part["data"]]
    assert data == [(0, BLOCK), (3 * BLOCK, BLOCK)]


def test_qemu_finds_an_empty_disk_empty(qemu_img: Callable[..., str], tmp_path: Path, unique_id: UUID) -> None:
    """3072 bytes are a disk of 16 MiB."""
    image, raw = tmp_path / "empty.vhd", tmp_path / "empty.raw"
    write_file(image, bytearray(16 * MIB), [], unique_id)
    qemu_img("convert", *opened(image), "-O", "raw", raw)
    assert digest(raw.read_bytes()) == digest(bytes(16 * MIB))


def test_we_read_what_qemu_writes(qemu_img: Callable[..., str], tmp_path: Path, content: bytearray) -> None:
    """A dynamic image converted from raw."""
    raw, image = tmp_path / "theirs.raw", tmp_path / "theirs.vhd"
    raw.write_bytes(content)
    qemu_img("convert", "-f", "raw", "-O", "vpc", "-o", "subformat=dynamic,force_size", raw, image)
    layout, disk = read_file(image)
    assert digest(disk) == digest(content)
    assert layout.footer.creator_application == b"qem2"
    assert set(layout.indexes) == {0, 3, 4, 10}


def test_we_read_an_empty_disk_of_qemu(qemu_img: Callable[..., str], tmp_path: Path) -> None:
    """Its footer follows its table."""
    image = tmp_path / "empty.vhd"
    qemu_img("create", "-q", "-f", "vpc", "-o", "subformat=dynamic,force_size", image, "40M")
    layout, _ = read_file(image)
    assert (layout.size_bytes, layout.block_count) == (40 * MIB, 0)


@pytest.mark.parametrize("megabytes", [1, 65, 136, 200, 504, 8192, 65536])
def test_qemu_computes_the_same_geometry(qemu_img: Callable[..., str], tmp_path: Path, megabytes: int) -> None:
    """It rounds the size up to one that a geometry describes exactly; for that size ours is the same."""
    image = tmp_path / "geometry.vhd"
    qemu_img("create", "-q", "-f", "vpc", "-o", "subformat=dynamic", image, f"{megabytes}M")
    layout = vhd_reader().feed(image.read_bytes())[0]
    assert isinstance(layout, VhdLayout)
    assert layout.footer.geometry == geometry_of(layout.size_bytes)
    assert layout.footer.geometry.size_bytes == layout.size_bytes
