"""Whole migrations through a gateway before an xo-server's double, asked for as a user whom that one signed in."""

import asyncio
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed

from tests.api.conftest import Client as XoClient
from tests.api.gateway.messages.xo_server import PASSWORD, XoServer
from tests.scenarios.conftest import World, Worlds


@pytest.fixture
def xo() -> Iterator[XoServer]:
    """Upstream."""
    server = XoServer()
    yield server
    server.stop()


def signed_in(world: World) -> XoClient:
    """As a page of XO is."""
    client = XoClient(world.client.url.replace("http", "ws") + "/v5/api/")
    client.call("session.signIn", email="root@xo.example", password=PASSWORD)
    return client


async def of_upstream_only(page: XoClient, world: World) -> None:
    """A VM whose pool only upstream has is another thing than one that nobody has."""
    error = await asyncio.to_thread(page.error, "vm.warmMigration", world.asked(vm="vm-1"))
    assert (error["code"], error["data"]["code"]) == (-32000, "POOL_NOT_ADDED")
    assert error["message"].startswith("no connection found for object vm-1: ")
    assert (await asyncio.to_thread(page.error, "vm.warmMigration", world.asked(vm="nowhere")))["code"] == 1


async def test_a_migration_through_a_gateway(worlds: Worlds, xo: XoServer) -> None:
    """Its task is among upstream's objects and comes to its end; upstream hears nothing of it."""
    async with worlds(upstream=xo.url) as world:
        page = await asyncio.to_thread(signed_in, world)
        await of_upstream_only(page, world)
        call = page.send("vm.warmMigration", world.asked())
        first = await asyncio.to_thread(page.note, lambda note: note["method"] == "all")
        (id,) = first["params"]["items"]
        objects = await asyncio.to_thread(page.call, "xo.getAllObjects")
        assert objects[id]["applies_to"] == world.vm
        assert objects["vm-1"]["type"] == "VM"
        answer = await asyncio.to_thread(page.wait, call)
        target = await world.vm_of(world.target, answer["result"])
        source = await world.vm_of(world.source, world.vm)
        assert (target["power_state"], source["power_state"]) == ("Running", "Halted")
        await asyncio.to_thread(
            page.note, lambda note: (note["params"]["items"].get(id) or {}).get("status") == "success"
        )
        assert not any("warmMigration" in frame for frame in xo.frames)
        assert (await world.last_report())["user"] == "root@xo.example"
        page.close()


async def test_a_migration_goes_on_while_upstream_is_away(worlds: Worlds, xo: XoServer) -> None:
    """Its caller is cut off, comes back with upstream and calls again: it joins, and gets the answer."""
    async with worlds(upstream=xo.url) as world:
        page = await asyncio.to_thread(signed_in, world)
        call = page.send("vm.warmMigration", world.asked())
        await asyncio.to_thread(page.note, lambda note: note["method"] == "all")
        xo.die()
        with pytest.raises(ConnectionClosed):
            await asyncio.to_thread(page.wait, call)
        xo.rise()
        page = await asyncio.to_thread(signed_in, world)
        answer = await asyncio.to_thread(lambda: page.wait(page.send("vm.warmMigration", world.asked())))
        target = await world.vm_of(world.target, answer["result"])
        assert target["power_state"] == "Running"
        assert len(await world.client.call("warmMigration.list")) == 1
        page.close()
