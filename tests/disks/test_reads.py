"""The queue between a reader of extents and its connections."""

import threading
import time

import pytest

from xo_warmig.disks.budget import ZEROS
from xo_warmig.disks.loads import Load
from xo_warmig.disks.pipe import Closed, Part
from xo_warmig.disks.reads import READ_BYTES, Filling, Lane, Read, ReadQueue
from xo_warmig.disks.window import Window
from xo_warmig.errors import TransferError
from xo_warmig.model.extents import Extent
from xo_warmig.model.units import KIB, MIB


def filling(*parts: Part) -> Filling:
    return Filling(Load(list(parts), stored=True), bytearray(2 * MIB))


def queue_with(*parts: Part) -> tuple[ReadQueue, Filling]:
    queue, waited_for = ReadQueue(), filling(*parts)
    queue.put(waited_for)
    return queue, waited_for


def take_all(lane: Lane) -> list[Read]:
    found = []
    while (read := lane.take(512)) is not None:
        found.append(read)
    return found


def test_a_load_becomes_reads_of_bounded_size_into_its_buffer() -> None:
    """Cut where the disk can be cut well, each with its own part of the buffer."""
    first = 300 * KIB
    queue, waited_for = queue_with(Part(3 * MIB + 100 * KIB, 0, first), Part(8 * MIB - 64 * KIB, first, MIB))
    lane = queue.join()
    reads = take_all(lane)
    assert [read.extent for read in reads] == [
        Extent(3 * MIB + 100 * KIB, first),
        Extent(8 * MIB - 64 * KIB, 64 * KIB),
        Extent(8 * MIB, READ_BYTES),
        Extent(8 * MIB + READ_BYTES, MIB - READ_BYTES - 64 * KIB),
    ]
    for number, read in enumerate(reads, 1):
        read.view[:] = bytes([number]) * len(read.view)
        lane.done(read, asked=0.0)
    queue.wait_for(waited_for)
    held = bytes(waited_for.buffer)
    assert held == b"".join(bytes([n]) * r.extent.length for n, r in enumerate(reads, 1)).ljust(2 * MIB, b"\0")


def test_a_connection_gets_no_more_than_its_part_of_the_window() -> None:
    """But always something."""
    queue, waited_for = ReadQueue(Window(2 * MIB)), filling(Part(0, 0, 2 * MIB))
    lane, _ = queue.join(), queue.join()
    queue.put(waited_for)
    assert lane.take(MIB) is None
    assert lane.take(MIB - 512) is not None
    queue = ReadQueue(Window(0, 0), per_lane_bytes=0)
    lane = queue.join()
    queue.put(filling(Part(0, 0, MIB)))
    assert lane.take(512) is None
    assert lane.take(0) is not None


def test_zeros_are_there_at_once() -> None:
    """Nobody reads them."""
    queue = ReadQueue()
    zeros = Filling(Load([Part(0, 0, MIB)], stored=False), ZEROS)
    queue.put(zeros)
    queue.wait_for(zeros)
    assert queue.join().take(512) is None


def test_whoever_has_nothing_to_do_comes_first() -> None:
    """One that has reads in flight gets no more while others wait for their first."""
    queue = ReadQueue()
    taken: list[Read | None] = []
    waiting = threading.Thread(target=lambda: taken.append(queue.join().take(0)))
    waiting.start()
    while not queue._idle:
        time.sleep(0.001)
    with queue._arrived:  # as if the waiting thread were slow to wake
        queue._reads.extend(Read(Extent(at, 512), memoryview(b""), filling()) for at in (0, 512))
    busy = queue.join()
    second = busy.take(512)
    assert second is not None
    assert busy.take(512) is None
    queue.end()
    waiting.join(5)
    assert len(taken) == 1
    assert taken[0] is not None
    assert busy.take(0) is None


def test_the_first_failure_is_told_and_everybody_stops() -> None:
    """Those that wait for reads, and the one that waits for a buffer."""
    queue, waited_for = queue_with(Part(0, 0, 512))
    lane = queue.join()
    lane.take(0)
    stopped: list[type[BaseException]] = []

    def wait() -> None:
        try:
            lane.take(0)
        except Closed as closed:
            stopped.append(type(closed))

    waiting = threading.Thread(target=wait)
    waiting.start()
    queue.fail(TransferError("first"))
    queue.fail(TransferError("second"))
    waiting.join(5)
    assert stopped == [Closed]
    with pytest.raises(TransferError, match="first"):
        queue.wait_for(waited_for)
