"""The formats in which storage keeps disks, by the names that XAPI has for them (``SM.supported_image_formats``)."""

from typing import Final

VHD: Final = "vhd"
QCOW2: Final = "qcow2"
RAW: Final = "raw"
KNOWN: Final = frozenset({VHD, QCOW2, RAW})
