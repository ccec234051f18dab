"""Which images exist and how they hang together, as one small file that is replaced whole: a killed process leaves the old or the new."""

import os
from pathlib import Path
from typing import Final

import msgspec

VHD: Final = "vhd"
QCOW2: Final = "qcow2"
RAW: Final = "raw"


class Image(msgspec.Struct, kw_only=True):
    """An image of a chain. ``file`` names its blocks' file; ``hidden`` ones are base copies, which nobody writes.

    ``image_format`` is what a real one would be kept as; all of a chain have the same, but for a raw root.
    """

    file: str
    size_bytes: int
    parent: str | None = None
    hidden: bool = False
    image_format: str = VHD


def load(path: Path) -> dict[str, Image]:
    """The images by uuid; none when there is no index yet."""
    if not path.exists():
        return {}
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Image])


def save(path: Path, images: dict[str, Image]) -> None:
    """Replace the index at once."""
    temporary = path.with_suffix(".new")
    temporary.write_bytes(msgspec.json.encode(images))
    os.replace(temporary, path)
