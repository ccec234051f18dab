"""Lists of blocks as bitmaps."""

from hypothesis import given
from hypothesis import strategies as st

from tests.disks.memory import SIZE, UNIQUE, content, vhd
from xo_warmig.disks.blocks import blocks_of, count_between, missing_blocks, whole_disk
from xo_warmig.formats.vhd import BLOCK_BYTES, VhdLayout, VhdWriter, vhd_reader
from xo_warmig.model.units import MIB


def bitmap(blocks: set[int], count: int = 64) -> bytes:
    """The plain way."""
    bits = "".join("1" if block in blocks else "0" for block in range(count))
    return int(bits, 2).to_bytes(count // 8, "big")


def test_the_whole_disk() -> None:
    """A last block in part counts; bits beyond the disk are not set."""
    assert whole_disk(SIZE) == b"\xff"
    assert whole_disk(SIZE + 512) == b"\xff\x80"
    assert whole_disk(4 * MIB) == b"\xc0"


def test_the_blocks_of_a_stream() -> None:
    """In whatever order it has them."""
    layout = vhd_reader().feed(vhd(content([0, 6]), [6, 0]))[0]
    assert isinstance(layout, VhdLayout)
    assert blocks_of(layout) == bytes([0b10000010])


def test_blocks_of_another_size_touch_those_of_2_mib() -> None:
    """A file of 4 KiB blocks, and one of 8 MiB."""
    for block_bytes, blocks, expected in [(4096, [511, 512], 0b11000000), (8 * MIB, [1], 0b00001111)]:
        writer = VhdWriter(SIZE, blocks, unique_id=UNIQUE, block_bytes=block_bytes)
        data = bytes(block_bytes)
        stream = b"".join(writer.stream(lambda _, data=data: data))  # type: ignore[misc]
        layout = vhd_reader().feed(stream)[0]
        assert isinstance(layout, VhdLayout)
        assert blocks_of(layout) == bytes([expected])


@given(st.sets(st.integers(0, 63)), st.sets(st.integers(0, 63)))
def test_missing_blocks(wanted: set[int], there: set[int]) -> None:
    """As with sets; a shorter bitmap has nothing in the rest."""
    assert missing_blocks(bitmap(wanted), bitmap(there)) == len(wanted - there)
    assert missing_blocks(b"", bitmap(there)) == 0
    assert missing_blocks(bitmap(wanted), b"") == len(wanted)


@given(st.sets(st.integers(0, 63)), st.integers(0, 64 * BLOCK_BYTES), st.integers(0, 64 * BLOCK_BYTES))
def test_blocks_between_offsets(blocks: set[int], one: int, other: int) -> None:
    """Each with a byte in between."""
    start, end = sorted((one, other))
    expected = [b for b in blocks if b >= start // BLOCK_BYTES and b * BLOCK_BYTES < end]
    assert count_between(bitmap(blocks), start, end) == len(expected)
