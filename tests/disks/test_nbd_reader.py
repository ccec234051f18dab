"""An NBD connection with several reads in flight, against answers that were written down beforehand."""

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xo_warmig.disks.loads import Load
from xo_warmig.disks.nbd_reader import NbdReader
from xo_warmig.disks.pipe import Part
from xo_warmig.disks.reads import READ_BYTES, Filling, ReadQueue
from xo_warmig.disks.window import Window
from xo_warmig.errors import FormatError, TransferError
from xo_warmig.formats.nbd import DISCONNECT
from xo_warmig.model.units import MIB

SIZE = 4 * MIB
REQUEST_BYTES = len(DISCONNECT)


class Script:
    """Fits ``ByteDuplex``: gives what it was told to, and keeps what it is sent."""

    apart = False

    def __init__(self, says: bytes) -> None:
        self.heard: list[bytes] = []
        self.closed = 0
        self.in_flight: list[int] = []  # requests sent before each reply's header was read
        self._says, self._at = memoryview(says), 0

    def readinto(self, view: memoryview) -> int:
        if len(view) == 16:
            self.in_flight.append(sum(map(len, self.heard)) // REQUEST_BYTES)
        part = self._says[self._at : self._at + len(view)]
        view[: len(part)] = part
        self._at += len(part)
        return len(part)

    def writev(self, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        self.heard.append(b"".join(buffers))

    def close(self) -> None:
        self.closed += 1


def reply(handle: int, data: bytes = b"", error: int = 0) -> bytes:
    return struct.pack(">IIQ", 0x67446698, error, handle) + data


def full_disk_of(part_bytes: int, *offsets: int, window_bytes: int = MIB) -> tuple[ReadQueue, Filling]:
    """A queue that has these reads and then none."""
    parts = [Part(offset, number * part_bytes, part_bytes) for number, offset in enumerate(offsets)]
    filling = Filling(Load(parts, stored=True), bytearray(2 * MIB))
    queue = ReadQueue(Window(window_bytes), per_lane_bytes=window_bytes)
    queue.put(filling)
    queue.end()
    return queue, filling


@given(st.permutations(range(6)), st.integers(1, 6))
@settings(max_examples=30)
def test_replies_go_where_they_belong_in_any_order(order: list[int], depth: int) -> None:
    """As far as the window lets them differ; never more than that is asked for ahead."""
    queue, filling = full_disk_of(512, *range(0, 6 * 8192, 8192), window_bytes=depth * 512)
    # A reply makes room for one request; within a group of as many as the depth any order is a possible one.
    replies = sorted(order, key=lambda number: (number // depth, order.index(number)))
    stream = Script(b"".join(reply(number + 1, bytes([number]) * 512) for number in replies))
    NbdReader(stream, SIZE).serve(queue.join())
    assert bytes(filling.buffer[: 6 * 512]) == b"".join(bytes([number]) * 512 for number in range(6))
    assert all(sent - answered <= depth for answered, sent in enumerate(stream.in_flight))
    assert stream.in_flight[0] == depth


def test_requests_that_are_there_together_go_out_together() -> None:
    """One call for all of them."""
    queue, _ = full_disk_of(MIB, 0)
    stream = Script(reply(1, bytes(READ_BYTES)) + reply(2, bytes(READ_BYTES)))
    NbdReader(stream, SIZE).serve(queue.join())
    assert [len(sent) for sent in stream.heard] == [2 * REQUEST_BYTES]


def test_an_answer_that_is_cut_is_an_error_at_any_byte() -> None:
    """And the read is not done."""
    for cut in range(16 + 512):
        queue, filling = full_disk_of(512, 0)
        with pytest.raises(TransferError) as lost:
            NbdReader(Script(reply(1, bytes(512))[:cut]), SIZE).serve(queue.join())
        assert lost.value.code == "NBD_CONNECTION_LOST"
        assert lost.value.remedy
        assert filling.left == 1


@pytest.mark.parametrize(
    ("says", "error", "code"),
    [
        (reply(7, bytes(512)), FormatError, "BAD_NBD"),
        (reply(1, bytes(512)) * 2, FormatError, "BAD_NBD"),
        (reply(1, bytes(513)) + reply(2, bytes(512)), FormatError, "BAD_NBD"),
        (bytes(600), FormatError, "BAD_NBD"),
        (reply(1, error=5), TransferError, "NBD_READ_FAILED"),
        (reply(2, error=22), TransferError, "NBD_READ_FAILED"),
    ],
)
def test_answers_that_make_no_sense(says: bytes, error: type[Exception], code: str) -> None:
    """Too long, twice, to nobody, or a refusal."""
    queue, filling = full_disk_of(512, 0, 4096)
    with pytest.raises(error) as refused:
        NbdReader(Script(says), SIZE).serve(queue.join())
    assert getattr(refused.value, "code", "") == code
    assert filling.left


def test_goodbye_is_said_only_where_it_is_heard() -> None:
    """A server in the middle of an answer sees the end of the connection; said once."""
    stream = Script(b"")
    reader = NbdReader(stream, SIZE)
    reader.close()
    reader.close()
    assert stream.heard == [DISCONNECT]
    assert stream.closed == 2
    busy = Script(reply(1, bytes(100)))
    queue, _ = full_disk_of(512, 0)
    reader = NbdReader(busy, SIZE)
    with pytest.raises(TransferError):
        reader.serve(queue.join())
    reader.close()
    assert len(busy.heard) == 1
