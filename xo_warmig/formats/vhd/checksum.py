"""The checksum of footer and header: the one's complement of the sum of all bytes but its own four."""

import struct

from xo_warmig.formats.vhd.refusal import refused

_FIELD = struct.Struct(">I")


def seal(block: bytes, field_offset: int) -> bytes:
    """The block with its checksum put at ``field_offset``."""
    return block[:field_offset] + _FIELD.pack(_sum(block, field_offset)) + block[field_offset + 4 :]


def check_seal(block: bytes, field_offset: int, name: str) -> None:
    """Raises FormatError when the block's checksum is not that of its bytes."""
    (stored,) = _FIELD.unpack_from(block, field_offset)
    computed = _sum(block, field_offset)
    if stored != computed:
        raise refused(f"a wrong checksum in its {name}", stored=stored, computed=computed)


def _sum(block: bytes, field_offset: int) -> int:
    return ~(sum(block) - sum(block[field_offset : field_offset + 4])) & 0xFFFFFFFF
