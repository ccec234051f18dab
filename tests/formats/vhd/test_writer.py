"""Writing: the length is known before the data, and what cannot be a VHD is refused."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xo_warmig.errors import FormatError
from xo_warmig.formats.vhd import MOST_SIZE_BYTES, Parent, VhdWriter
from xo_warmig.formats.vhd.header import header_for, pack_header, parse_header
from xo_warmig.model.units import MIB

ID = UUID(int=1)


def zeros(index: int) -> bytes:
    return bytes(2 * MIB)


def test_an_empty_disk_of_16_mib_takes_3072_bytes() -> None:
    """As xapi exports it."""
    writer = VhdWriter(16 * MIB, [], unique_id=ID)
    assert writer.stream_length == len(b"".join(writer.stream(zeros))) == 3072


def test_one_block_makes_it_2_100_736() -> None:
    """As xapi exports it."""
    writer = VhdWriter(16 * MIB, [5], unique_id=ID)
    assert writer.stream_length == len(b"".join(writer.stream(zeros))) == 2_100_736


def test_the_largest_disk_has_its_length_at_once() -> None:
    """2040 GiB, all of it there: a table of almost 4 MiB, and no data needed to know the end."""
    entries = MOST_SIZE_BYTES // (2 * MIB)
    writer = VhdWriter(MOST_SIZE_BYTES, range(entries), unique_id=ID)
    assert writer.stream_length == 2048 + 4 * entries + entries * (512 + 2 * MIB) + 512
    assert len(writer.head()) == writer.head_length


@given(st.integers(1, 300), st.data())
@settings(deadline=None)
def test_the_length_is_exact(sectors: int, data: st.DataObject) -> None:
    """For any size, any blocks in any order, also with a last block that is only partly on the disk."""
    entries = -(-sectors * 512 // 4096)
    blocks = data.draw(st.lists(st.integers(0, entries - 1), unique=True))
    writer = VhdWriter(sectors * 512, blocks, unique_id=ID, block_bytes=4096)
    stream = b"".join(writer.stream(lambda index: bytes(min(4096, sectors * 512 - index * 4096))))
    assert len(stream) == writer.stream_length
    assert list(writer.blocks) == blocks


@pytest.mark.parametrize(
    "make",
    [
        lambda: VhdWriter(0, [], unique_id=ID),
        lambda: VhdWriter(1000, [], unique_id=ID),
        lambda: VhdWriter(MOST_SIZE_BYTES + 512, [], unique_id=ID),
        lambda: VhdWriter(MIB, [1], unique_id=ID),
        lambda: VhdWriter(MIB, [-1], unique_id=ID),
        lambda: VhdWriter(8 * MIB, [1, 1], unique_id=ID),
        lambda: VhdWriter(MIB, [], unique_id=ID, block_bytes=5000),
        lambda: VhdWriter(MOST_SIZE_BYTES, [], unique_id=ID, block_bytes=4096),
        lambda: VhdWriter(MIB, [], unique_id=ID, parent=Parent(unique_id=ID, name="x" * 257)).head(),
    ],
)
def test_what_cannot_be_a_vhd_is_refused(make: Callable[[], Any]) -> None:
    """Before anything is written."""
    with pytest.raises(FormatError):
        make()


@pytest.mark.parametrize("length", [0, 2 * MIB - 512, 2 * MIB + 512])
def test_a_block_of_another_length_is_refused(length: int) -> None:
    """It would shift everything behind it."""
    stream = VhdWriter(4 * MIB, [0], unique_id=ID).stream(lambda index: bytes(length))
    next(stream)
    with pytest.raises(FormatError):
        next(stream)


@given(st.text(max_size=120))
def test_a_parent_is_read_as_it_was_written(name: str) -> None:
    """Names in any script, surrogates included; a name ends at its first null."""
    name = name.replace("\0", "")
    parent = Parent(unique_id=ID, name=name, timestamp=848718564)
    assert parse_header(pack_header(header_for(2048, 8, 2 * MIB, parent))).parent == parent
