"""The channel between the threads of a copy."""

import threading
from collections.abc import Sequence

import pytest

from xo_warmig.disks.pipe import Channel, Closed, Inline, Piece, Pieces, feed
from xo_warmig.errors import TransferError


def test_items_come_out_in_order_and_then_the_end() -> None:
    """What was put before the end is delivered."""
    channel: Channel[int] = Channel(3)
    for item in (1, 2, 3):
        channel.put(item)
    channel.end()
    assert [channel.get() for _ in range(4)] == [1, 2, 3, None]


def test_a_full_channel_makes_its_writer_wait() -> None:
    """No more than ``most`` items are in flight."""
    channel: Channel[int] = Channel(1)
    channel.put(1)
    entered = threading.Event()

    def put() -> None:
        channel.put(2)
        entered.set()

    thread = threading.Thread(target=put)
    thread.start()
    assert not entered.wait(0.05)
    assert channel.get() == 1
    assert entered.wait(5)
    thread.join()


def test_a_broken_channel_wakes_both_sides_and_gives_what_was_queued() -> None:
    """A reader that waits, and a writer that waits, both learn of it."""
    channel: Channel[int] = Channel(1)
    channel.put(1)
    seen: list[type[BaseException]] = []

    def put() -> None:
        try:
            channel.put(2)
        except Closed as closed:
            seen.append(type(closed))

    thread = threading.Thread(target=put)
    thread.start()
    assert channel.break_off() == [1]
    thread.join(5)
    assert seen == [Closed]
    with pytest.raises(Closed):
        channel.get()


class Made:
    """Pieces that are made when they are asked for, until one cannot be."""

    def __init__(self, buffers: Sequence[bytes], failure: Exception | None = None) -> None:
        self.ends: list[str] = []
        self._buffers, self._failure = buffers, failure

    def pieces(self) -> Pieces:
        try:
            for buffer in self._buffers:
                yield Piece(buffer, [], 0)
            if self._failure is not None:
                raise self._failure
        finally:
            self.ends.append("ended")


def test_pieces_are_made_when_they_are_wanted() -> None:
    """None after the last, as of a channel; and a failure is the source's."""
    made = Made([b"1", b"2"])
    inline = Inline(made.pieces())
    first = inline.get()
    assert first is not None
    assert first.buffer == b"1"
    assert made.ends == []
    assert [inline.get() is None for _ in range(3)] == [False, True, True]
    assert made.ends == ["ended"]
    with pytest.raises(TransferError) as failed:
        Inline(Made([], TransferError("cut")).pieces()).get()
    assert failed.value.evidence["side"] == "source"


def test_all_pieces_are_fed_and_then_the_end() -> None:
    """And none after a failure, which is raised where they are made."""
    channel: Channel[Piece] = Channel(4)
    feed(Made([b"1", b"2"]).pieces(), channel, lambda buffer: None)
    assert [piece and piece.buffer for piece in (channel.get(), channel.get(), channel.get())] == [b"1", b"2", None]
    with pytest.raises(TransferError):
        feed(Made([], TransferError("cut")).pieces(), channel, lambda buffer: None)


def test_a_piece_that_nobody_takes_any_more_gives_its_buffer_back() -> None:
    """And the reading has ended."""
    channel: Channel[Piece] = Channel(1)
    channel.break_off()
    made, back = Made([b"1", b"2"]), list[bytes | bytearray]()
    with pytest.raises(Closed):
        feed(made.pieces(), channel, back.append)
    assert (back, made.ends) == ([b"1"], ["ended"])
