"""What VHD exports can do for a disk, by its size and the format of its image. Decisions only.

Source: ocaml/xapi/export_raw_vdi.ml, vhd_tool_wrapper.ml and qcow_tool_wrapper.ml. vhd-tool finds what is stored, and what differs from a
base, in the tables of VHD images. Of any other image it reads every byte before it sends the first one, and it tells no differences.
A qcow2 export against a base there is since 25.27, but it compares both disks byte by byte on the pool: hours, in a downtime.
"""

from typing import Final, NamedTuple

from xo_warmig.formats.vhd import MOST_SIZE_BYTES
from xo_warmig.model.images import QCOW2, VHD
from xo_warmig.model.vm import Disk


class Exports(NamedTuple):
    """What speaks against VHD exports of a disk, in words; "" when nothing does.

    ``whole``: against any. ``delta``: against one of what differs from a base. ``table``: against learning from the head of a whole one
    what the disk stores.
    """

    whole: str = ""
    delta: str = ""
    table: str = ""


ALL_EXPORTS: Final = Exports()


def exports_of(size_bytes: int, image_format: str) -> Exports:
    """``image_format``: see ``Disk``. An unknown one is taken for a VHD, which all storage kept before there was a choice."""
    if size_bytes > MOST_SIZE_BYTES:
        return Exports(*(["no VHD can hold the disk"] * 3))
    if image_format in (VHD, ""):
        return ALL_EXPORTS
    why = f"its pool keeps the disk as {image_format}"
    return Exports(delta=f"{why}, of which it exports no differences", table=why)


def exports_of_disk(disk: Disk) -> Exports:
    """The same by the disk."""
    return exports_of(disk.virtual_size_bytes, disk.image_format)


def against_listing(size_bytes: int, image_format: str) -> str:
    """Why nothing tells what a disk stores before all of it was read, in words; "" when something does.

    The head of a VHD export of a VHD; of a qcow2 export of a qcow2 image, which xapi has since 25.27, and which may still be refused.
    """
    if image_format == QCOW2 or not exports_of(size_bytes, image_format).table:
        return ""
    return f"its pool keeps it as {image_format or 'an image of an unknown format'}, whose export does not say what is stored"
