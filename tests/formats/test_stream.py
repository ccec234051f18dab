"""Feeding parsers: how bytes are cut changes nothing, and no more is held than must be."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xo_warmig.errors import FormatError
from xo_warmig.formats.stream import Parser, Reader, Stream


def parse_records(stream: Stream) -> Parser[bytes, str]:
    """For the tests: a length, so many bytes to skip, as many to give; length 0 ends."""
    while True:
        (length,) = yield from stream.exact(1)
        if length == 0:
            return f"ended at {stream.position}"
        if length == 255:
            raise FormatError("255")
        yield from stream.skip(length)
        yield (yield from stream.exact(length))


def records(values: list[bytes]) -> bytes:
    return b"".join(bytes([len(value)]) + bytes(len(value)) + value for value in values) + b"\0"


VALUES = st.lists(st.binary(min_size=1, max_size=20), max_size=6)


@given(VALUES, st.binary(max_size=10), st.data())
def test_how_the_bytes_are_cut_changes_nothing(values: list[bytes], trailing: bytes, data: st.DataObject) -> None:
    """Cut anywhere, the values and what is left over are the same."""
    raw = records(values) + trailing
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    reader = Reader(parse_records)
    got = []
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        got += reader.feed(raw[start:end])
    assert got == values
    assert reader.unused == trailing
    assert reader.result == f"ended at {len(raw) - len(trailing)}"


@given(VALUES)
def test_reading_what_is_wanted_takes_no_byte_too_many(values: list[bytes]) -> None:
    """A caller that reads ``wanted`` bytes at a time comes to the end with nothing left over."""
    raw = records(values)
    reader = Reader(parse_records)
    got: list[bytes] = []
    position = 0
    while wanted := reader.wanted:
        got += reader.feed(raw[position : position + wanted])
        position += wanted
    assert (got, position, reader.unused) == (values, len(raw), b"")


def test_an_end_before_its_time_is_a_format_error() -> None:
    """It names the place and how much is missing at least."""
    reader = Reader(parse_records)
    reader.feed(b"\5" + bytes(7))
    with pytest.raises(FormatError) as caught:
        _ = reader.result
    assert caught.value.code == "TRUNCATED"
    assert caught.value.evidence == {"position": 6, "missing_bytes": 3}


def test_a_reader_that_failed_stays_failed() -> None:
    """Feeding it on, or asking for its result, raises the same again."""
    reader = Reader(parse_records)
    with pytest.raises(FormatError, match="255"):
        reader.feed(b"\xff")
    with pytest.raises(FormatError, match="255"):
        reader.feed(b"\0")
    with pytest.raises(FormatError, match="255"):
        _ = reader.result


def test_what_is_skipped_is_not_held() -> None:
    """64 MiB pass through without a trace in memory."""

    def parse(stream: Stream) -> Parser[bytes, None]:
        yield from stream.skip(64 * 2**20)
        yield (yield from stream.exact(4))

    reader = Reader(parse)
    piece = bytes(2**20)
    tracemalloc.start()
    try:
        for _ in range(64):
            assert reader.feed(piece) == []
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reader.feed(b"next") == [b"next"]
    assert peak_bytes < 64 * 2**10
