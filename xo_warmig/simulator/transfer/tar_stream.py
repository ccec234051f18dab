"""A disk as a tar archive, as xapi has it since 8.0 (ocaml/xapi/stream_vdi.ml): a file for each MiB that is not all zeros.

The first and the last MiB are always there; after each file comes another one with its checksum.
"""

import hashlib
import tarfile
from collections.abc import Iterator

import xxhash

from xo_warmig.errors import FormatError
from xo_warmig.simulator.storage import Disk
from xo_warmig.simulator.transfer.receivers import Target

CHUNK = 1 << 20
_DIRECTORY = "vdi/"
_RECORD = tarfile.BLOCKSIZE


def xxh64(data: bytes) -> str:
    return xxhash.xxh64(data).hexdigest().upper()


def sha1(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


CHECKSUMS = {".xxhash": xxh64, ".checksum": sha1}
"""By the ending of the file's name. 8.0 writes the second, later releases the first; both are read."""


def entries(disk: Disk, ending: str) -> Iterator[bytes]:
    """The whole archive, file by file."""
    last = (disk.size_bytes - 1) // CHUNK
    for number in range(last + 1):
        data = disk.pread(number * CHUNK, min(CHUNK, disk.size_bytes - number * CHUNK))
        if number in (0, last) or data.strip(b"\0"):
            name = f"{_DIRECTORY}{number:08d}"
            yield _file(name, data)
            yield _file(name + ending, CHECKSUMS[ending](data).encode())
    yield bytes(2 * _RECORD)


def receive_tar(target: Target) -> None:
    """Write what the archive has; what it leaves out stays as it was. FormatError where it is none of these, or a checksum is wrong."""
    number, length = -1, 0
    while number < 0 or number * length < target.disk.size_bytes - length:
        before, (name, size) = number, _next(target)
        if not name.startswith(_DIRECTORY) or not name.removeprefix(_DIRECTORY).isdecimal() or size > CHUNK:
            raise FormatError(f"expected a piece of a disk, and not {name!r}")
        number = int(name.removeprefix(_DIRECTORY))
        if number <= before:
            raise FormatError(f"the piece {name!r} is not in order")
        length = length or size
        data = _content(target, size)
        target.write(number * length, memoryview(data))
        _see_checksum(target, name, data)


def _see_checksum(target: Target, name: str, data: bytes) -> None:
    found, size = _next(target)
    ending = found.removeprefix(name)
    if ending not in CHECKSUMS or _content(target, size).decode(errors="replace") != CHECKSUMS[ending](data):
        raise FormatError(f"{found!r} is not the checksum of {name!r}")


def _next(target: Target) -> tuple[str, int]:
    """Name and size of the next file."""
    try:
        info = tarfile.TarInfo.frombuf(target.inlet.take(_RECORD), "utf-8", "replace")
    except tarfile.HeaderError as error:
        raise FormatError(f"no tar header: {error}") from error
    return info.name, info.size


def _content(target: Target, size: int) -> bytes:
    data = target.inlet.take(size)
    target.inlet.skip(-size % _RECORD)
    return data


def _file(name: str, data: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o400
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % _RECORD)
