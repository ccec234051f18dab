"""Disks copied over several NBD connections, from servers that nobody here wrote and from one that fails on order."""

import asyncio
import itertools
import random
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.disks.memory import SIZE, MemorySink, MemorySinks, admitted, budget_is_whole
from tests.disks.memory_readers import always
from tests.nbd_servers import CurtServer, certificates, nbdkit, qemu_nbd
from xo_warmig.disks.copy import copy_extents
from xo_warmig.disks.lanes import Lanes
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.sent import SentLog
from xo_warmig.errors import FormatError, TransferError, TransferStalled
from xo_warmig.formats.cbt import BLOCK_BYTES as GRANULE
from xo_warmig.model.extents import Extent
from xo_warmig.model.passes import Mark
from xo_warmig.model.units import MIB
from xo_warmig.xapi.nbd.connections import open_readers
from xo_warmig.xapi.nbd.opening import NbdPlace
from xo_warmig.xapi.trust import Trust

NAME = "/3f2a?session_id=OpaqueRef:5ec"
DISK = random.Random(7).randbytes(SIZE)
ORDER = CopyOrder(SIZE, differencing=True, skip_zeros=False)
WHOLE = [Extent(0, SIZE)]
SCATTERED = [Extent(granule * GRANULE, GRANULE) for granule in range(0, 256, 3)]


def over(places: Sequence[NbdPlace], count: int) -> list[NbdPlace]:
    """So many connections, to each in turn."""
    return list(itertools.islice(itertools.cycle(places), count))


async def copied(
    places: Sequence[NbdPlace], extents: Sequence[Extent], count: int = 3, stall: float = 20
) -> MemorySink:
    sink = MemorySink()
    opened = await open_readers(over(places, count), Trust(allow_unauthorized=True), stall_seconds=stall)
    disk, given = Lanes(reader for _, reader in opened), MemorySinks([sink])
    with admitted() as admission:
        await copy_extents(
            disk, always(extents), given, ORDER, sent=SentLog(Mark()), meter=Meter(), admission=admission
        )
    return sink


def patched(disk: bytes, extents: Sequence[Extent]) -> bytes:
    expected = bytearray(SIZE)
    for extent in extents:
        expected[extent.offset : extent.end] = disk[extent.offset : extent.end]
    return bytes(expected)


PATTERN = struct.pack(f">{SIZE // 8}Q", *range(0, SIZE, 8))


@pytest.mark.parametrize("extents", [WHOLE, SCATTERED])
async def test_from_nbdkit(extents: list[Extent]) -> None:
    """It answers a connection's reads side by side, and so in any order."""
    slow = ["--filter=delay", "--mask-handshake=1", "pattern", f"size={SIZE}", "rdelay=1ms"]
    with nbdkit(*slow, name=NAME) as place:
        sink = await copied([place], extents)
    assert sink.disk() == patched(PATTERN, extents)
    assert budget_is_whole()


@pytest.mark.parametrize("secure", [False, True])
async def test_from_qemu_nbd(secure: bool, tmp_path: Path) -> None:
    """In clear, and under TLS with the certificate that the pool names."""
    directory, certificate = certificates(tmp_path)
    image = tmp_path / "disk.raw"
    image.write_bytes(DISK)
    with qemu_nbd(image, name=NAME, tls=directory if secure else None) as place:
        sink = await copied([place._replace(certificate=certificate)], WHOLE)
    assert sink.disk() == DISK


async def test_over_two_hosts() -> None:
    """Both serve the disk, and both are read from."""
    with nbdkit("pattern", f"size={SIZE}") as one, nbdkit("pattern", f"size={SIZE}") as other:
        assert (await copied([one, other], WHOLE, count=4)).disk() == PATTERN


async def test_what_a_server_cannot_read_ends_the_copy_with_its_error() -> None:
    """By the protocol's name; the target is not ended well (R4)."""
    broken = ["--filter=error", "pattern", f"size={SIZE}", "error-pread=EIO", "error-pread-rate=20%"]
    with nbdkit(*broken) as place, pytest.raises(TransferError, match="EIO") as failed:
        await copied([place], SCATTERED)
    assert failed.value.code == "NBD_READ_FAILED"
    assert failed.value.evidence["side"] == "source"
    assert budget_is_whole()


@pytest.fixture
def curt() -> Iterator[Callable[..., CurtServer]]:
    servers: list[CurtServer] = []

    def start() -> CurtServer:
        servers.append(CurtServer(DISK, name=NAME))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


async def test_every_connection_says_goodbye(curt: Callable[..., CurtServer]) -> None:
    """After a copy; one request at a time is answered, as xapi-nbd does."""
    server = curt()
    assert (await copied([server.place], SCATTERED)).disk() == patched(DISK, SCATTERED)
    deadline = time.monotonic() + 5
    while server.disconnects < 3:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_server_that_dies_in_the_middle_of_an_answer(curt: Callable[..., CurtServer]) -> None:
    """As xapi-nbd does when the storage fails."""
    server = curt()
    server.answer = lambda offset, length: b"" if offset >= 5 * MIB else DISK[offset : offset + length]
    with pytest.raises(TransferError) as failed:
        await copied([server.place], WHOLE)
    assert failed.value.code == "NBD_CONNECTION_LOST"
    assert budget_is_whole()


async def test_more_than_was_asked_for_is_refused(curt: Callable[..., CurtServer]) -> None:
    """What follows an answer must be another one."""
    server = curt()
    server.answer = lambda offset, length: DISK[offset : offset + length] + bytes(16)
    with pytest.raises(FormatError) as failed:
        await copied([server.place], WHOLE)
    assert failed.value.code == "BAD_NBD"


async def test_an_answer_that_does_not_come_is_a_stall(curt: Callable[..., CurtServer]) -> None:
    """R15."""
    server = curt()
    server.answer = lambda offset, length: None
    with pytest.raises(TransferStalled):
        await copied([server.place], WHOLE, stall=0.1)
    assert budget_is_whole()


@pytest.mark.parametrize("in_the_data", [False, True])
async def test_cancelling_wakes_every_connection(in_the_data: bool, curt: Callable[..., CurtServer]) -> None:
    """Whether one waits for an answer's head or for the rest of its data, and one for something to do."""
    server, asked = curt(), threading.Event()

    def answer(offset: int, length: int) -> bytes | None:
        asked.set()
        return DISK[: length - 512] if in_the_data else None

    server.answer = answer
    task = asyncio.create_task(copied([server.place], [Extent(0, GRANULE)], count=2))
    while not asked.is_set():
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)
    task.cancel()
    begin = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - begin < 5
    assert budget_is_whole()


async def test_one_host_that_takes_no_more_is_done_without(
    curt: Callable[..., CurtServer], caplog: pytest.LogCaptureFixture
) -> None:
    """xapi-nbd has 16 connections for all; the log says that there are fewer."""
    server, full = curt(), curt()
    full.drops_at_once = True
    readers = await open_readers([full.place, server.place, full.place], Trust(allow_unauthorized=True))
    assert [place for place, _ in readers] == [server.place]
    for _, reader in readers:
        reader.close()
    assert caplog.text.count("fewer connections") == 2
    assert "OpaqueRef" not in caplog.text


async def test_no_connection_at_all_says_why(curt: Callable[..., CurtServer]) -> None:
    """With the first one's reason."""
    full = curt()
    full.drops_at_once = True
    with pytest.raises(TransferError) as refused:
        await open_readers([full.place] * 2, Trust(allow_unauthorized=True))
    assert refused.value.code == "NBD_DROPPED"


async def test_one_host_that_is_not_believed_ends_them_all(tmp_path: Path) -> None:
    """An impostor is no smaller a matter for being one of two."""
    directory, certificate = certificates(tmp_path)
    (tmp_path / "other").mkdir()
    _, other = certificates(tmp_path / "other")
    with nbdkit("memory", "size=1M", tls=directory) as place:
        places = [place._replace(certificate=certificate), place._replace(certificate=other)]
        with pytest.raises(Exception, match="another certificate"):
            await open_readers(places, Trust(allow_unauthorized=True))


async def test_cancelling_the_opening_closes_what_opened(curt: Callable[..., CurtServer]) -> None:
    """One has its disk, the other still waits for its own."""
    ready, slow = curt(), CurtServer(DISK, name=NAME, attach_seconds=20)
    try:
        task = asyncio.create_task(open_readers([ready.place, slow.place], Trust(allow_unauthorized=True)))
        while not (ready.names and slow.names):
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ready.ended.wait(5)
    finally:
        slow.stop()
