"""Requests and their answers, and the VBD beneath."""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.simulator.delays import Delays

MIB, SIZE = 1 << 20, 16 << 20


@pytest.fixture
def content(served: Any) -> bytearray:
    """What the disk holds: some data, some of it below a snapshot, and holes."""
    content, source = bytearray(SIZE), random.Random(1)
    for number, (offset, length) in enumerate(((0, 4096), (3 * MIB, 2 * MIB), (9 * MIB - 512, 1024), (3 * MIB, 512))):
        data = source.randbytes(length)
        content[offset : offset + length] = data
        served.write(offset, data)
        if number == 2:
            served.call("VDI.snapshot", served.vdi)
    return content


def test_reads_give_what_the_chain_holds(served: Any, content: bytearray) -> None:
    """Of any length, across blocks and holes, in clear."""
    client, source = served.open(), random.Random(2)
    assert client.read(0, SIZE) == content
    for _ in range(50):
        offset = source.randrange(SIZE // 512) * 512
        length = min(SIZE - offset, source.choice((512, 4096, 65536, 3 * MIB)))
        assert client.read(offset, length) == content[offset : offset + length]


def test_reads_under_tls(serve: Callable[..., Any]) -> None:
    """The same bytes."""
    served, data = serve(nbd_purpose="nbd"), random.Random(3).randbytes(3 * MIB)
    served.write(MIB, data)
    client = served.connect()
    client.greet()
    client.start_tls()
    client.export(served.name())
    assert client.read(0, 5 * MIB) == bytes(MIB) + data + bytes(MIB)
    client.ask(2)
    assert client.is_closed()
    assert served.trace() == [(served.uuid(), 5 * MIB, None)]


def test_answers_come_in_the_order_of_the_questions(served: Any, content: bytearray) -> None:
    """However many are under way."""
    client, lengths = served.open(), [512, 65536, 0, 2 * MIB, 512] * 40
    asker = threading.Thread(
        target=lambda: [client.ask(0, n * 512, length, n) for n, length in enumerate(lengths)], daemon=True
    )
    asker.start()
    for n, length in enumerate(lengths):
        assert client.answer() == (0, n)
        assert client.take(length) == content[n * 512 : n * 512 + length]
    asker.join()


@pytest.mark.parametrize(
    ("command", "offset", "length", "error", "told"),
    [
        (1, 0, 512, 1, "EPERM"),
        (0, 100, 512, 22, "EINVAL"),
        (0, 0, 100, 22, "EINVAL"),
        (3, 0, 0, 22, "EINVAL"),
        (4, 0, 512, 22, "EINVAL"),
        (7, 0, 512, 22, "EINVAL"),
        (77, 0, 0, 22, "EINVAL"),
    ],
)
def test_a_mistake_is_told_and_is_the_end(
    served: Any, command: int, offset: int, length: int, error: int, told: str
) -> None:
    """After everything that was asked before it."""
    client = served.open()
    client.ask(0, 0, 512, 5)
    client.ask(command, offset, length, 6, bytes(length) if command == 1 else b"")
    assert client.answer() == (0, 5)
    assert client.take(512) == bytes(512)
    assert client.answer() == (error, 6)
    assert client.is_closed()
    assert served.trace() == [(served.uuid(), 512, told)]
    assert served.vbds() == []


def test_a_read_beyond_the_end_breaks_off(served: Any) -> None:
    """With the header sent, and as many whole pieces of 512 KiB as there are."""
    client = served.open()
    client.ask(0, SIZE - MIB - 512, 2 * MIB)
    assert client.answer() == (0, 1)
    assert client.take(MIB) == bytes(MIB)
    assert client.is_closed()
    assert served.trace() == [(served.uuid(), MIB, "EIO")]


def test_what_is_no_request_ends_the_connection(served: Any) -> None:
    """Without an answer."""
    client = served.open()
    client.socket.sendall(b"x" * 28)
    assert client.is_closed()
    assert [error for _, _, error in served.trace()] == ["BadMagic"]


def test_each_connection_has_a_vbd_of_its_own(served: Any) -> None:
    """For reading, in the control domain; it is gone when the client sees the end of the connection. A VM may use the disk meanwhile,
    but nobody may destroy it."""
    clients = [served.open(), served.open()]
    dom0 = served.pool.dom0(served.pool.master)
    assert [(vbd["mode"], vbd["currently_attached"], vbd["VM"]) for vbd in served.vbds()] == [("RO", True, dom0)] * 2
    with pytest.raises(Exception, match="VDI_IN_USE"):
        served.call("VDI.destroy", served.vdi)
    (vbd, _) = served.pool.db.row("VDI", served.vdi)["VBDs"]
    with pytest.raises(Exception, match="DEVICE_DETACH_REJECTED"):
        served.call("VBD.unplug", vbd)
    clients[0].ask(2)
    assert clients[0].is_closed()
    assert len(served.vbds()) == 1
    clients[1].close()
    assert [error for _, _, error in served.ended(2)] == [None, "NO_DISC"]
    assert served.vbds() == []
    served.call("VDI.destroy", served.vdi)


def test_attaching_takes_its_time(served: Any) -> None:
    """As the delays say."""
    served.pool.delays = Delays({"attach": 0.2, "detach": 0.2})
    begun = time.monotonic()
    client = served.open()
    assert time.monotonic() - begun >= 0.2
    client.ask(2)
    assert client.is_closed()
    assert time.monotonic() - begun >= 0.4
