"""Requests that cannot be done: a clear error with XO's code and ours, and a source pool that nothing has touched."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import XenAPI
from websockets.asyncio.client import connect

from tests.scenarios.waiting import until
from xo_warmig.client import CallFailed, websocket_url
from xo_warmig.model.units import GIB
from xo_warmig.simulator.site import DiskConfig, VmConfig

World = Any
Worlds = Callable[..., Any]
UNKNOWN = "11111111-2222-3333-4444-555555555555"


async def refused(world: World, **changes: Any) -> CallFailed:
    """The error of a call that must leave all pools that run as they were."""
    pools = [pool for pool in (world.source, world.target) if pool.running]
    before = [await world.changes(pool) for pool in pools]
    with pytest.raises(CallFailed) as error:
        await world.migrate(**changes)
    assert [await world.changes(pool) for pool in pools] == before
    return error.value


async def test_what_cannot_be_done_is_refused_before_anything_is_touched(worlds: Worlds) -> None:
    """Unknown objects, SRs that cannot take it, flags that contradict each other."""
    async with worlds() as world:
        iso = next(sr.uuid for sr in world.target.srs if "iso" in sr.name_label.lower() or "ISO" in sr.name_label)
        own_sr = world.source.srs[0].uuid
        for changes, rpc_code, code in (
            ({"vm": UNKNOWN}, 1, "NO_SUCH_OBJECT"),
            ({"sr": UNKNOWN}, 1, "NO_SUCH_OBJECT"),
            ({"vm": UNKNOWN, "sr": UNKNOWN}, 1, "NO_SUCH_OBJECT"),
            ({"sr": iso}, 10, "SR_NOT_WRITABLE"),
            ({"sr": own_sr}, 10, "SAME_SR"),
            ({"startDestinationVm": False, "deleteSourceVm": True}, 10, "DELETE_WITHOUT_START"),
            ({"mapVdisSrs": {UNKNOWN: world.sr}}, 10, None),
            ({"mapVifsNetworks": {UNKNOWN: world.target.networks[0].uuid}}, 10, None),
        ):
            error = await refused(world, **changes)
            assert error.rpc_code == rpc_code, (changes, error.rpc_code, str(error))
            assert code is None or error.code == code, (changes, error.code)
            if rpc_code == 1:
                assert error.data["id"] == UNKNOWN
            else:
                assert error.data["errors"][0]["instancePath"]
        unknown_both = await refused(world, vm=UNKNOWN, sr=UNKNOWN)
        assert "VM" in str(unknown_both), "the VM is looked for first"


async def test_a_network_is_never_guessed(worlds: Worlds) -> None:
    """Without the same uuid, or the same name and VLAN, the choices are listed; named, it goes on."""
    async with worlds() as world:
        network = world.target.networks[0].uuid
        await rename_network(world.target, network, "another name")
        error = await refused(world)
        assert (error.rpc_code, error.code) == (10, "NO_NETWORK_MATCH")
        assert network in str(error.evidence) + str(error.data)
        reports = await world.client.call("warmMigration.list")
        assert reports == [], "a refused request leaves no migration"


async def rename_network(pool: Any, network: str, name: str) -> None:
    def rename() -> None:
        with XenAPI.Session(pool.url) as session:
            session.xenapi.login_with_password(pool.username, pool.password, "1.0", "tests")
            ref = session.xenapi.network.get_by_uuid(network)
            session.xenapi.network.set_name_label(ref, name)
            session.xenapi.session.logout()

    await asyncio.to_thread(rename)


async def test_a_repository_without_room_is_refused(worlds: Worlds) -> None:
    """XO's code for a failed operation, with what is needed and what is free."""
    vm = VmConfig(name_label="large", disks=[DiskConfig(size_bytes=4 * GIB, allocated_bytes=GIB // 4)])
    async with worlds(vms=[vm], target={"sr_size_bytes": 2 * GIB // 16}) as world:
        error = await refused(world)
        assert (error.rpc_code, error.code) == (21, "NO_SPACE")


@pytest.mark.parametrize("power_state", ["Suspended", "Paused"])
async def test_a_vm_that_is_neither_running_nor_halted_is_refused(worlds: Worlds, power_state: str) -> None:
    """XO's code for a bad power state, with the states."""
    async with worlds(vms=[VmConfig(name_label="asleep", power_state=power_state)]) as world:
        error = await refused(world)
        assert error.rpc_code == 13
        assert error.data["actual"].lower() == power_state.lower()
        assert error.data["objectId"] == world.vm


async def test_who_may_not_is_told_so(worlds: Worlds) -> None:
    """Not signed in: XO's code 2 with the permission that is missing, and no changes."""
    async with worlds() as world:
        async with connect(websocket_url(world.client.url)) as stranger:
            call = {"id": 1, "jsonrpc": "2.0", "method": "vm.warmMigration", "params": world.asked()}
            await stranger.send(json.dumps(call))
            answer = json.loads(await stranger.recv())
        assert answer["error"]["code"] == 2
        assert answer["error"]["data"]["permission"] == "admin"
        assert await world.changes(world.source) == []


async def test_wrong_parameters_are_all_named(worlds: Worlds) -> None:
    """Missing, extra and of another type: in one answer, as XO's validator gives them."""
    async with worlds() as world:
        with pytest.raises(CallFailed) as error:
            await world.client.call("vm.warmMigration", vm=1, sr=world.sr, startDestinationVm="true", nonsense=1)
        keywords = [item["keyword"] for item in error.value.data["errors"]]
        assert keywords == ["required", "additionalProperties", "type", "type"]


async def test_a_second_call_joins_and_another_is_refused(worlds: Worlds) -> None:
    """The same call joins the running migration; another SR or other flags are an incorrect state."""
    async with worlds(source={"bandwidth": 32 * 1024 * 1024}) as world:
        first: Awaitable[str] = asyncio.ensure_future(world.migrate())
        await until(world, lambda _: True)
        with pytest.raises(CallFailed) as error:
            await world.migrate(startDestinationVm=False)
        assert error.value.rpc_code == 25
        with pytest.raises(CallFailed) as error:
            await world.migrate(sr=world.target.srs[1].uuid)
        assert error.value.rpc_code == 25
        same = await world.migrate()
        assert same == await first
        assert same == await world.migrate(), "a repeat after success answers the same"
        assert len(await world.client.call("warmMigration.list")) == 1


async def test_a_pool_that_is_down_is_named(worlds: Worlds) -> None:
    """XO's code 9 with the pool's uuid, and its name in the message."""
    async with worlds() as world:
        assert await world.client.call("warmMigration.list") == []
        pools = {server["poolNameLabel"]: server["poolId"] for server in await world.client.call("server.getAll")}
        world.target.kill()
        error = await refused(world)
        assert error.rpc_code == 9
        assert error.data["objectId"] == pools["amd-pool"]
        assert error.evidence["pool"] == "amd-pool"
