"""Requests and simple replies."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xo_warmig.errors import FormatError, TransferError
from xo_warmig.formats.nbd import DISCONNECT, MOST_READ_BYTES, REPLY_BYTES, Reads
from xo_warmig.model.extents import Extent
from xo_warmig.model.units import GIB

SIZE_BYTES = 4 * GIB


def reply(handle: int, error: int = 0, magic: int = 0x67446698) -> bytes:
    return struct.pack(">IIQ", magic, error, handle)


def handle_of(request: bytes) -> int:
    return int(struct.unpack(">IHHQQI", request)[3])


def test_a_request_as_it_goes_over_the_wire() -> None:
    """Magic, no flags, READ, a handle, offset and length."""
    reads: Reads[str] = Reads(SIZE_BYTES)
    request = reads.ask(Extent(3 * GIB, 64 << 10), "a")
    assert request == bytes.fromhex("25609513 0000 0000 0000000000000001 00000000c0000000 00010000")
    assert bytes.fromhex("25609513 0000 0002 0000000000000000 0000000000000000 00000000") == DISCONNECT
    assert len(reply(1)) == REPLY_BYTES


@given(st.permutations(range(6)), st.integers(0, 6))
@settings(max_examples=30)
def test_replies_in_any_order_find_what_asked_for_them(order: list[int], answered_early: int) -> None:
    """Between further requests, too; none finds it twice."""
    reads: Reads[int] = Reads(SIZE_BYTES)
    handles = [handle_of(reads.ask(Extent(number * 512, 512), number)) for number in range(6)]
    for number in order[:answered_early]:
        assert reads.answered(reply(handles[number])) == number
    later = handle_of(reads.ask(Extent(0, 512), 99))
    for number in order[answered_early:]:
        assert reads.answered(memoryview(reply(handles[number]))) == number
    assert len(reads) == 1
    assert reads.answered(reply(later)) == 99
    with pytest.raises(FormatError, match="not open"):
        reads.answered(reply(later))


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (reply(2), "not open"),
        (reply(0), "not open"),
        (reply(2, error=5), "not open"),
        (reply(1, magic=0x668E33EF), "no reply where one belongs"),  # a structured one
        (bytes(16), "no reply where one belongs"),
    ],
)
def test_what_is_no_reply_to_us_is_refused(header: bytes, why: str) -> None:
    """What follows it is then of no use either."""
    reads: Reads[str] = Reads(SIZE_BYTES)
    reads.ask(Extent(0, 512), "a")
    with pytest.raises(FormatError, match=why) as refused:
        reads.answered(header)
    assert refused.value.code == "BAD_NBD"


@pytest.mark.parametrize(("number", "name"), [(5, "EIO"), (22, "EINVAL"), (108, "ESHUTDOWN"), (77, "0x4d")])
def test_an_error_is_named_with_the_place_on_the_disk(number: int, name: str) -> None:
    """As the protocol numbers them, whatever this machine's own numbers are."""
    reads: Reads[str] = Reads(SIZE_BYTES)
    reads.ask(Extent(1024, 512), "a")
    with pytest.raises(TransferError, match=name) as failed:
        reads.answered(reply(1, error=number))
    assert failed.value.code == "NBD_READ_FAILED"
    assert failed.value.evidence == {"error": name, "offset": 1024, "length": 512}


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0, 0),
        (0, -512),
        (0, MOST_READ_BYTES + 512),
        (1, 512),
        (0, 513),
        (-512, 512),
        (SIZE_BYTES, 512),
        (SIZE_BYTES - 512, 1024),
    ],
)
def test_what_no_server_has_to_serve_is_not_asked(offset: int, length: int) -> None:
    """The asker hears of it, not the pool; and nothing is open then."""
    reads: Reads[str] = Reads(SIZE_BYTES)
    with pytest.raises(FormatError) as refused:
        reads.ask(Extent(offset, length), "a")
    assert refused.value.evidence == {"offset": offset, "length": length, "size_bytes": SIZE_BYTES}
    assert not len(reads)


def test_the_last_sector_may_be_asked_for() -> None:
    """And the most at once."""
    reads: Reads[str] = Reads(SIZE_BYTES)
    assert reads.ask(Extent(SIZE_BYTES - 512, 512), "last")
    assert reads.ask(Extent(SIZE_BYTES - MOST_READ_BYTES, MOST_READ_BYTES), "most")
