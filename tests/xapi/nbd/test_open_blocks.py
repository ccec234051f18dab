"""Disks that are read over NBD at once: their connections are one host's, and go from one to the other while they are read."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.disks.memory import MemorySink, MemorySinks, admitted
from tests.disks.memory_readers import always
from tests.nbd_servers import CurtServer
from tests.xapi.conftest import FakePool
from xo_warmig.disks import climb
from xo_warmig.disks.copy import copy_extents
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.sent import SentLog
from xo_warmig.errors import TransferError
from xo_warmig.model.extents import Extent
from xo_warmig.model.passes import Mark
from xo_warmig.model.units import MIB
from xo_warmig.xapi.nbd import blocks, open_blocks, shares
from xo_warmig.xapi.nbd.blocks import BlockServers
from xo_warmig.xapi.nbd.open_blocks import OpenBlocks
from xo_warmig.xapi.nbd.shares import Limits
from xo_warmig.xapi.nbd.tickets import Sharing
from xo_warmig.xapi.trust import Trust

SIZE = 512 * MIB
NAME = "/disk?session_id=OpaqueRef:1"


class Serving:
    """A pool whose host serves one disk, slowly: a read after the other for each connection, as xapi-nbd does."""

    def __init__(self, server: CurtServer) -> None:
        self.server = server
        self.reads_seconds = 0.03
        server.answer = self.answer
        pool: Any = FakePool()
        pool.trust = Trust(allow_unauthorized=True)
        pool.add("network", purpose=["insecure_nbd"])
        self.vdi = pool.get("VDI", pool.add("VDI", VBDs=[]))["uuid"]
        info = {"address": server.place.host, "port": f"{server.place.port}", "exportname": NAME, "cert": ""}
        pool.handlers["VDI.get_nbd_info"] = lambda _: [info]
        self.servers = BlockServers(pool, {})

    def answer(self, offset: int, length: int) -> bytes:
        time.sleep(self.reads_seconds)
        return bytes(length)

    @asynccontextmanager
    async def reading(self, connections: int, most: int, **named: Any) -> AsyncIterator[Any]:
        """A disk that is open and read, until the block ends."""
        turn = await self.servers.queue(self.vdi, connections=connections, most=most, **named)
        opened = await turn.open()
        reading = asyncio.create_task(self._read(opened))
        try:
            yield opened
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await opened.abort()

    async def _read(self, opened: OpenBlocks) -> None:
        order = CopyOrder(SIZE, differencing=False, skip_zeros=True)
        with admitted() as admission:
            await copy_extents(
                opened.lanes,
                always([Extent(0, SIZE)]),
                MemorySinks([MemorySink()]),
                order,
                sent=SentLog(Mark()),
                meter=Meter(),
                admission=admission,
            )


@pytest.fixture
async def serving(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serving]:
    """Looks are many, so that a test is short."""
    monkeypatch.setattr(open_blocks, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(open_blocks, "_PAUSE_WITHOUT_SECONDS", 0.05)
    monkeypatch.setattr(climb, "LOOK_SECONDS", 0.5)
    server = CurtServer(bytes(SIZE), name=NAME)
    yield Serving(server)
    server.stop()


@pytest.fixture
def share(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Sharing]:
    """So many connections for all; none are left when the test has ended."""

    def limit(most: int) -> Sharing:
        sharing = Sharing(Limits(most=most, more_if_urgent=1))
        monkeypatch.setattr(blocks, "SHARING", sharing)
        return sharing

    return limit


def held(opened: OpenBlocks) -> int:
    return len(opened._servers)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


async def test_a_copy_gives_back_what_another_one_waits_for_and_takes_it_again(serving: Serving, share: Any) -> None:
    """Neither of them notices: both go on being read."""
    sharing = share(4)
    async with serving.reading(4, 4) as first:
        assert held(first) == 4
        async with serving.reading(4, 4) as second:
            await until(lambda: (held(first), held(second)) == (2, 2))
            async with serving.reading(1, 1, urgent=True) as third:
                assert held(third) == 1, "there is one more where a VM is down"
                before = [each.lanes.done_bytes for each in (first, second, third)]
                await until(
                    lambda: all(
                        each.lanes.done_bytes > done for each, done in zip((first, second, third), before, strict=True)
                    )
                )
        await until(lambda: held(first) == 4)
    assert not sharing._tickets


async def test_slow_storage_is_read_over_more_connections(
    serving: Serving, share: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each makes it faster by its part, so one after the other is had; soon again where the machine was busy with something else."""
    monkeypatch.setattr(climb, "_FIRST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(climb, "_LONGEST_PAUSE_SECONDS", 0.1)
    share(8)
    serving.reads_seconds = 0.06
    async with serving.reading(4, 16) as opened:
        assert held(opened) == 4
        await until(lambda: held(opened) >= 6)


async def test_whose_turn_it_is_not_waits_without_a_connection_and_can_be_cancelled(
    serving: Serving, share: Any
) -> None:
    """It is told what it waits for."""
    sharing, told = share(1), list[str]()

    async def tell(why: str) -> None:
        told.append(why)

    async with serving.reading(1, 1) as first:
        waiting = asyncio.create_task(serving.servers.queue(serving.vdi, connections=1, most=1, tell=tell))
        await until(lambda: bool(told))
        assert "NBD connections" in told[0]
        assert len(serving.server.names) == 1
        assert len(sharing._tickets) == 2
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert told[1:] == [""]
        assert held(first) == 1
    assert not sharing._tickets


async def test_a_turn_that_is_not_used_is_for_others(serving: Serving, share: Any) -> None:
    """Also when the disk does not open."""
    sharing = share(1)
    (await serving.servers.queue(serving.vdi, connections=1, most=1)).give_up()
    serving.server.drops_at_once = True
    turn = await serving.servers.queue(serving.vdi, connections=1, most=1)
    with pytest.raises(TransferError) as refused:
        await turn.open()
    assert refused.value.code == "NBD_DROPPED"
    assert not sharing._tickets


async def test_where_a_disk_is_served_is_asked_once_where_its_turn_comes_at_once(
    serving: Serving, share: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a downtime each question costs. For another connection, or after a wait, it is asked again: sessions end."""
    share(4)
    asked, places = list[str](), serving.servers.places

    async def counted(ref: str) -> Any:
        asked.append(ref)
        return await places(ref)

    monkeypatch.setattr(serving.servers, "places", counted)
    async with serving.reading(1, 1):
        assert len(asked) == 1
    monkeypatch.setattr(blocks, "_JUST_NOW_SECONDS", -1.0)
    async with serving.reading(1, 1):
        assert len(asked) == 3


async def test_a_turn_that_is_not_used_yet_goes_to_those_that_read_and_comes_again(
    serving: Serving, share: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it waits for meanwhile, a place among the copies, those may have that wait for a connection."""
    share(1)
    monkeypatch.setattr(shares, "TURN_SECONDS", 0.2)
    async with serving.reading(1, 1) as first:
        turn = await asyncio.wait_for(serving.servers.queue(serving.vdi, connections=1, most=1), 20)
        await until(lambda: held(first) == 0)
        await until(lambda: held(first) == 1)
        opened_so_far = len(serving.server.names)
        await asyncio.sleep(0.6)
        assert (held(first), len(serving.server.names)) == (1, opened_so_far), "nothing is kept for who cannot use it"
        await asyncio.wait_for(turn.wait(), 20)
        opened = await turn.open()
        assert held(opened) == 1
        await opened.abort()


async def test_a_disk_that_no_connection_can_be_had_to_any_more_is_not_read_on(serving: Serving, share: Any) -> None:
    """The copy ends with the reason, after some tries."""
    share(4)
    turn = await serving.servers.queue(serving.vdi, connections=2, most=2)
    opened = await turn.open()
    reading = asyncio.create_task(serving._read(opened))
    await until(lambda: opened.lanes.done_bytes > 0)
    serving.server.drops_at_once = True
    serving.server.answer = lambda offset, length: b""
    with pytest.raises(TransferError) as failed:
        await reading
    assert failed.value.code in ("NBD_DROPPED", "NBD_CONNECTION_LOST")
    await opened.abort()
