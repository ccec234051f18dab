"""XAPI's sparse stream, written and read."""

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xo_warmig.errors import FormatError
from xo_warmig.formats.sparse import END, MOST_PIECE_BYTES, SparsePiece, chunk_header, parse_chunk_header, sparse_reader
from xo_warmig.model.extents import Extent
from xo_warmig.model.units import KIB, TIB

SIZE_BYTES = 64 * 512
PIECES = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 4), st.integers(0, 255)).map(
        lambda piece: SparsePiece(piece[0] * 512, bytes([piece[2]]) * 512 * piece[1])
    ),
    max_size=5,
)


def written(pieces: list[SparsePiece]) -> bytes:
    return b"".join(chunk_header(piece.offset, len(piece.data)) + piece.data for piece in pieces) + END


def test_a_header_is_little_endian() -> None:
    """Eight bytes of offset, four of length."""
    assert chunk_header(3 * TIB, 65536) == bytes.fromhex("000000000003 0000 00000100")


@given(PIECES, st.binary(max_size=20))
def test_what_was_written_is_read(pieces: list[SparsePiece], trailing: bytes) -> None:
    """In the same order, and what follows the end marker is left alone."""
    reader = sparse_reader(SIZE_BYTES)
    assert reader.feed(written(pieces) + trailing) == pieces
    assert reader.result == sum(len(piece.data) for piece in pieces)
    assert reader.unused == trailing


@given(PIECES)
def test_byte_by_byte_gives_the_same(pieces: list[SparsePiece]) -> None:
    """No cut in the stream is seen."""
    reader = sparse_reader(SIZE_BYTES)
    got = [piece for byte in written(pieces) for piece in reader.feed(bytes([byte]))]
    assert got == pieces
    assert reader.done


@given(st.binary(max_size=64), PIECES, st.data())
def test_hostile_bytes_are_a_format_error_and_nothing_else(
    junk: bytes, pieces: list[SparsePiece], data: st.DataObject
) -> None:
    """And never a piece outside the disk."""
    raw = written(pieces)
    cut = data.draw(st.integers(0, len(raw)))
    reader = sparse_reader(SIZE_BYTES)
    try:
        got = reader.feed(raw[:cut] + junk + raw[cut:])
        assert reader.result >= 0
    except FormatError:
        return
    assert all(piece.offset + len(piece.data) <= SIZE_BYTES for piece in got)


@pytest.mark.parametrize(
    ("offset", "length", "why"),
    [
        (512, 0, "not positive"),
        (0, 2**31, "not positive"),
        (0, 0xFFFFFE00, "not positive"),
        (100, 512, "multiple of 512"),
        (0, 100, "multiple of 512"),
        (SIZE_BYTES, 512, "outside"),
        (2**64 - 512, 512, "outside"),
        (SIZE_BYTES - 512, 1024, "outside"),
    ],
)
def test_a_bad_chunk_is_refused(offset: int, length: int, why: str) -> None:
    """By its header alone, before its data."""
    with pytest.raises(FormatError, match=why) as caught:
        parse_chunk_header(struct.pack("<QI", offset, length), SIZE_BYTES)
    assert caught.value.evidence == {"offset": offset, "length": length, "size_bytes": SIZE_BYTES}


@pytest.mark.parametrize(("offset", "length"), [(-512, 512), (0, 0), (0, 2**31), (1, 512), (0, 513), (2**64, 512)])
def test_a_bad_chunk_is_not_written_either(offset: int, length: int) -> None:
    """The sender hears of it, not the pool."""
    with pytest.raises(FormatError):
        chunk_header(offset, length)


def test_a_header_is_read_without_its_data() -> None:
    """For those who read the data straight into a buffer."""
    assert parse_chunk_header(memoryview(chunk_header(1024, 512)), SIZE_BYTES) == Extent(1024, 512)
    assert parse_chunk_header(END, SIZE_BYTES) is None


def test_a_stream_without_its_end_is_truncated() -> None:
    """All its chunks may be there: without the marker nobody knows."""
    reader = sparse_reader(SIZE_BYTES)
    reader.feed(written([SparsePiece(0, bytes(512))])[: -len(END)])
    with pytest.raises(FormatError) as caught:
        _ = reader.result
    assert caught.value.code == "TRUNCATED"


def test_a_huge_chunk_is_not_held_whole() -> None:
    """A chunk of almost 2 GiB comes in pieces of 2 MiB."""
    reader = sparse_reader(TIB)
    reader.feed(chunk_header(0, 2**31 - 512))
    feed, offset = bytes(64 * KIB), 0
    tracemalloc.start()
    try:
        for _ in range(5 * MOST_PIECE_BYTES // len(feed)):
            for piece in reader.feed(feed):
                assert piece.offset == offset
                offset += len(piece.data)
                assert len(piece.data) == MOST_PIECE_BYTES
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert offset == 5 * MOST_PIECE_BYTES
    assert peak_bytes < 4 * MOST_PIECE_BYTES  # what arrives, the piece made of it, and the caller's last one
