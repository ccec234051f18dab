"""The two ends of a transfer over real sockets."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from xo_warmig.errors import TransferError, TransferStalled
from xo_warmig.xapi.streams import SocketSink, SocketSource, coalesced

Pair = tuple[socket.socket, socket.socket]


def explain(words: str) -> TransferError:
    return TransferError(words, code="EXPLAINED")


@pytest.fixture
def pair() -> Iterator[Pair]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def source(near: socket.socket, first: bytes = b"", stall_seconds: float = 5) -> SocketSource:
    return SocketSource(near, first, stall_seconds=stall_seconds, explain=explain)


def sink(near: socket.socket, stall_seconds: float = 5) -> SocketSink:
    return SocketSink(near, stall_seconds=stall_seconds, explain=explain)


def test_what_came_with_the_head_is_read_first(pair: Pair) -> None:
    """Over as many reads as it takes."""
    stream = source(pair[0], b"abcd")
    pair[1].sendall(b"efgh")
    view = memoryview(bytearray(3))
    assert stream.readinto(view) == 3
    assert bytes(view) == b"abc"
    view = memoryview(bytearray(5))
    assert stream.readinto(view) == 5
    assert bytes(view) == b"defgh"


def test_a_read_fills_its_view_however_slowly_the_bytes_come(pair: Pair) -> None:
    """Pieces are waited for."""

    def send() -> None:
        for _ in range(4):
            pair[1].sendall(b"ab")
            time.sleep(0.01)

    thread = threading.Thread(target=send)
    thread.start()
    view = memoryview(bytearray(8))
    assert source(pair[0]).readinto(view) == 8
    assert bytes(view) == b"abababab"
    thread.join()


def test_the_end_of_the_stream_is_a_short_read(pair: Pair) -> None:
    """And then none."""
    stream = source(pair[0])
    pair[1].sendall(b"abc")
    pair[1].shutdown(socket.SHUT_WR)
    view = memoryview(bytearray(8))
    assert stream.readinto(view) == 3
    assert stream.readinto(view) == 0


def test_a_failure_in_the_place_of_a_disk_is_an_error(pair: Pair) -> None:
    """Pools since 8.0 answer 200 before they attach the disk."""
    stream = source(pair[0], b"HTTP/1.1 500 Internal")
    pair[1].sendall(b" Error\r\n\r\n<html><body>VDI_IN_USE</body></html>")
    pair[1].close()
    with pytest.raises(TransferError, match="VDI_IN_USE") as caught:
        stream.readinto(memoryview(bytearray(8)))
    assert caught.value.code == "EXPLAINED"


def test_no_byte_for_the_stall_time_is_a_stall(pair: Pair) -> None:
    """On either side."""
    with pytest.raises(TransferStalled):
        source(pair[0], stall_seconds=0.05).readinto(memoryview(bytearray(8)))
    with pytest.raises(TransferStalled):
        sink(pair[0], stall_seconds=0.05).writev([bytes(64 << 20)])


def test_the_first_byte_may_take_longer_than_the_others(pair: Pair) -> None:
    """Of an image that is no VHD the pool reads all before it sends anything; after that a stall is one again."""
    stream = SocketSource(pair[0], b"", stall_seconds=0.05, silent_seconds=5, explain=explain)
    timer = threading.Timer(0.15, pair[1].sendall, [b"late"])
    timer.start()
    view = memoryview(bytearray(4))
    assert stream.readinto(view) == 4
    timer.join()
    with pytest.raises(TransferStalled, match="0 s"):
        stream.readinto(view)


def test_standing_idle_is_no_stall(pair: Pair) -> None:
    """An import is opened before the downtime, and fed inside it."""
    stream = sink(pair[0], stall_seconds=0.02)
    time.sleep(0.06)
    stream.writev([b"late"])
    assert pair[1].recv(10) == b"late"


@pytest.mark.parametrize("side", ["read", "write"])
def test_closing_wakes_whoever_is_blocked(pair: Pair, side: str) -> None:
    """From another thread, and at once."""
    reader, writer = source(pair[0]), sink(pair[0])
    failures: list[BaseException] = []

    def work() -> None:
        try:
            if side == "read":
                reader.readinto(memoryview(bytearray(8)))
            else:
                writer.writev([bytes(64 << 20)])
        except TransferError as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.05)
    (reader if side == "read" else writer).close()
    thread.join(2)
    assert not thread.is_alive()
    assert [getattr(failure, "code", "") for failure in failures] == ["TRANSFER_STOPPED"]


def test_closing_twice_is_allowed_and_using_it_then_is_not(pair: Pair) -> None:
    """With an error that says so."""
    stream = source(pair[0])
    stream.close()
    stream.close()
    with pytest.raises(TransferError) as caught:
        stream.readinto(memoryview(bytearray(1)))
    assert caught.value.code == "TRANSFER_STOPPED"


def test_all_buffers_are_sent_in_order_through_a_narrow_socket(pair: Pair) -> None:
    """More of them than the kernel takes at once, and more bytes than it holds."""
    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    buffers = [bytes([number % 251]) * (number % 700) for number in range(3000)]
    received = bytearray()

    def receive() -> None:
        while piece := pair[1].recv(65536):
            received.extend(piece)

    thread = threading.Thread(target=receive)
    thread.start()
    stream = sink(pair[0])
    stream.writev(buffers)
    stream.close()
    thread.join()
    assert bytes(received) == b"".join(buffers)


def test_a_server_that_gives_up_is_asked_for_its_reason(pair: Pair) -> None:
    """What it wrote before it closed."""
    stream = sink(pair[0])
    pair[1].sendall(b"HTTP/1.1 500 Internal Error\r\n\r\n<p>no space left</p>")
    pair[1].close()
    with pytest.raises(TransferError, match="no space left"):
        stream.writev([bytes(1 << 20)])


@pytest.mark.parametrize(
    "sizes", [[12, 65536], [65536, 12], [12, 20000, 12, 5], [16384, 16384], [0, 1, 16384], [40000], []]
)
def test_small_buffers_join_large_ones_for_tls(sizes: list[int]) -> None:
    """The bytes stay the same, and none travels in a record of a few bytes but the last."""
    buffers = [bytes([65 + position]) * size for position, size in enumerate(sizes)]
    pieces = [bytes(piece) for piece in coalesced(buffers)]
    assert b"".join(pieces) == b"".join(buffers)
    assert all(len(piece) >= 3000 for piece in pieces[:-1])
