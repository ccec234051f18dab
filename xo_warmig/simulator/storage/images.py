"""Whole images between a disk and a file of this machine: raw and sparse here, other formats converted by qemu-img first."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from xo_warmig.errors import FormatError, NotEnoughSpace
from xo_warmig.simulator.storage.blocks import BLOCK, data_ranges
from xo_warmig.simulator.storage.disk import Disk

_PIECE = 64 * 1024
_ZERO_PIECE = bytes(_PIECE)


def load(disk: Disk, path: Path) -> None:
    """Write the file into the disk, holes and zeros left out.

    Raises:
        FormatError: qemu-img is missing or cannot read the file.
        NotEnoughSpace: the image is larger than the disk.
    """
    options = _qemu_options(path)
    if options is None:
        _load_raw(disk, path)
        return
    with tempfile.TemporaryDirectory(dir=path.parent if os.access(path.parent, os.W_OK) else None) as directory:
        raw = Path(directory, "image.raw")
        _convert(options, raw)
        _load_raw(disk, raw)


def save(disk: Disk, path: Path, blocks: list[int]) -> None:
    """Write the disk to a raw file in which everything that is zero is a hole."""
    with path.open("wb") as file:
        file.truncate(disk.size_bytes)
        for block in blocks:
            for offset, piece in nonzero_on(disk, block):
                os.pwrite(file.fileno(), piece, offset)


def nonzero_on(disk: Disk, block: int) -> Iterator[tuple[int, bytes]]:
    """The same of a block of a disk, with their offsets on the disk; holes are not read."""
    segment = disk.segment(block)
    if segment is None:
        return
    fd, at = segment
    done = 0
    for begin, end in data_ranges(fd, at, at + BLOCK):
        for offset in range(max(done, (begin - at) // _PIECE * _PIECE), end - at, _PIECE):
            piece = os.pread(fd, _PIECE, at + offset)
            done = offset + _PIECE
            if piece != _ZERO_PIECE:
                yield block * BLOCK + offset, piece


def nonzero_pieces(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The 64 KiB pieces that are not all zeros, each with its offset."""
    for offset in range(0, len(data), _PIECE):
        piece = data[offset : offset + _PIECE]
        if piece != _ZERO_PIECE[: len(piece)]:
            yield offset, piece


def image_size_bytes(path: Path) -> int:
    """The virtual size of the disk in the file."""
    options = _qemu_options(path)
    if options is None:
        return path.stat().st_size
    return int(json.loads(_qemu("info", "--output=json", "--image-opts", options))["virtual-size"])


def _load_raw(disk: Disk, path: Path) -> None:
    size = path.stat().st_size
    if size > disk.size_bytes:
        raise NotEnoughSpace(
            f"{path.name} has {size} bytes, the disk {disk.size_bytes}",
            evidence={"needed": size, "free": disk.size_bytes},
        )
    with path.open("rb") as file:
        for begin, end in data_ranges(file.fileno()):
            for at in range(begin, end, BLOCK):
                data = os.pread(file.fileno(), min(BLOCK, end - at), at)
                for offset, piece in nonzero_pieces(data):
                    disk.pwrite(at + offset, piece)


def _qemu_options(path: Path) -> str | None:
    """How to tell qemu-img what the file is; None for raw."""
    with path.open("rb") as file:
        head = file.read(8)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 512))
        tail = file.read(8)
    name = str(path).replace(",", ",,")
    if head[:4] == b"QFI\xfb":
        return f"driver=qcow2,file.filename={name}"
    if b"conectix" in (head, tail):
        # Its geometry fields may say less than the size.
        return f"driver=vpc,force_size_calc=current_size,file.filename={name}"
    return None


def _convert(options: str, raw: Path) -> None:
    _qemu("convert", "--image-opts", options, "-O", "raw", str(raw))


def _qemu(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["qemu-img", *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise FormatError(
            "qemu-img is needed to read this image", remedy="install qemu-utils, or give a raw image"
        ) from None
    if done.returncode != 0:
        raise FormatError(f"qemu-img: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
