"""Servers: connected, lost, found again; and whose VM it is."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.pools import start_site
from xo_warmig.errors import ForbiddenOperation, InvalidRequest, NoSuchObject, PoolError, PoolUnreachable
from xo_warmig.model.servers import ServerCredentials, ServerStatus
from xo_warmig.simulator.launch import Site
from xo_warmig.simulator.site import PoolConfig, SiteConfig
from xo_warmig.xapi import server
from xo_warmig.xapi.directory import Directory
from xo_warmig.xapi.pool import Pool

ServerOf = Callable[..., ServerCredentials]


@pytest.fixture
async def empty() -> AsyncIterator[Directory]:
    """A directory without servers."""
    found = Directory()
    yield found
    await found.close()


async def test_an_added_server_connects_in_the_background(
    site: Site, empty: Directory, server_of: ServerOf, eventually: Any
) -> None:
    """And tells what it found."""
    await empty.add(server_of(site.pools[0], label="lab"))
    await eventually(lambda: empty.state("pool-0").status is ServerStatus.CONNECTED)
    (state,) = empty.states()
    assert (state.label, state.pool_name_label, state.error) == ("lab", "pool-0", None)
    assert state.pool_id
    assert state.master
    assert sorted(state.members) == sorted(host.address for host in site.pools[0].hosts)


async def test_a_pool_that_is_connected_is_news(site: Site, empty: Directory, server_of: ServerOf) -> None:
    """Each time; what was news before stays so."""
    first = empty.news()
    assert not first.is_set()
    await empty.add(server_of(site.pools[0]))
    await asyncio.wait_for(first.wait(), 20)
    assert await empty.connected() == ([await empty.pool_of_vm(site.pools[0].vms[0].uuid)], [])
    second = empty.news()
    assert not second.is_set()
    await empty.disconnect("pool-0")
    await empty.connect("pool-0")
    await asyncio.wait_for(second.wait(), 20)


async def test_a_server_that_is_not_enabled_waits_to_be_asked(
    site: Site, empty: Directory, server_of: ServerOf
) -> None:
    """Then it connects, and can be left again."""
    await empty.add(server_of(site.pools[0], enabled=False))
    await asyncio.sleep(0.05)
    assert empty.state("pool-0").status is ServerStatus.DISCONNECTED
    await empty.connect("pool-0")
    await empty.connect("pool-0")
    assert empty.state("pool-0").status is ServerStatus.CONNECTED
    await empty.disconnect("pool-0")
    assert empty.state("pool-0").status is ServerStatus.DISCONNECTED


async def test_a_member_leads_to_its_master(site: Site, empty: Directory, server_of: ServerOf) -> None:
    """HOST_IS_SLAVE is followed."""
    pool = site.pools[0]
    member = pool.url.replace(pool.hosts[0].address, pool.hosts[1].address)
    await empty.add(server_of(pool, host=member))
    await empty.connect("pool-0")
    assert await empty.pool_of_vm(pool.vms[0].uuid)


async def test_a_wrong_password_is_told_and_not_tried_again(site: Site, empty: Directory, server_of: ServerOf) -> None:
    """Accounts get locked otherwise."""
    await empty.add(server_of(site.pools[0], password="wrong", enabled=False))
    with pytest.raises(PoolError) as caught:
        await empty.connect("pool-0")
    assert caught.value.code == "SESSION_AUTHENTICATION_FAILED"
    assert "wrong" not in str(caught.value.as_dict())
    state = empty.state("pool-0")
    assert state.status is ServerStatus.DISCONNECTED
    assert state.error is not None
    assert state.error["code"] == "SESSION_AUTHENTICATION_FAILED"


async def test_one_pool_is_connected_by_one_server(
    site: Site, directory: Directory, server_of: ServerOf, ask: Any
) -> None:
    """The second is told which one has it, and leaves no session behind."""
    before = ask(site.pools[0], "state")["sessions"]
    await directory.add(server_of(site.pools[0], id="again", enabled=False))
    with pytest.raises(PoolError) as caught:
        await directory.connect("again")
    assert caught.value.code == "POOL_ALREADY_CONNECTED"
    assert caught.value.evidence["server"] == "pool-0"
    assert ask(site.pools[0], "state")["sessions"] == before


async def test_a_pool_that_is_reached_by_another_server(site: Site, directory: Directory, server_of: ServerOf) -> None:
    """As when it has a new address: the server that had it before is away, and is not what its pool is asked by."""
    former = await directory.pool_of_vm(site.pools[0].vms[0].uuid)
    await directory.disconnect("pool-0")
    await directory.add(server_of(site.pools[0], id="again", enabled=False))
    await directory.connect("again")
    found = await directory.pool(former.uuid)
    assert found is not former
    assert found is await directory.pool_of_vm(site.pools[0].vms[0].uuid)


async def test_objects_are_found_wherever_they_are(site: Site, directory: Directory) -> None:
    """VMs and SRs of either pool; what nobody has is named with its type."""
    assert (await directory.pool_of_vm(site.pools[0].vms[0].uuid)).name == "pool-0"
    assert (await directory.pool_of_sr(site.pools[1].srs[0].uuid)).name == "pool-1"
    with pytest.raises(NoSuchObject) as caught:
        await directory.pool_of_sr("nowhere")
    assert caught.value.evidence == {"id": "nowhere", "type": "SR"}


async def test_a_pool_knows_what_it_may_be_called(site: Site, directory: Directory) -> None:
    """Its uuid, its name, and where it was reached: the configuration speaks of it by any of them."""
    pool = await directory.pool_of_vm(site.pools[0].vms[0].uuid)
    assert pool.names >= {pool.uuid, "pool-0", urlsplit(site.pools[0].url).hostname}


async def test_connected_pools_are_named_and_silent_ones_too(
    site: Site, directory: Directory, server_of: ServerOf
) -> None:
    """By the pool's name where it was ever known, else by label or host."""
    await directory.add(server_of(site.pools[0], id="label", label="lab", enabled=False))
    await directory.add(server_of(site.pools[0], id="host", host="root:secret@192.0.2.1", enabled=False))
    pools, silent = await directory.connected()
    assert [pool.name for pool in pools] == ["pool-0", "pool-1"]
    assert silent == ["lab", "192.0.2.1"]
    await directory.disconnect("pool-1")
    assert (await directory.connected())[1] == ["pool-1", "lab", "192.0.2.1"]


async def test_a_server_that_was_left_is_asked_for_by_name(site: Site, directory: Directory) -> None:
    """Its VMs are not unknown, they are out of reach; and back when it is connected again, for whoever held its pool."""
    vm = site.pools[0].vms[0].uuid
    pool = await directory.pool_of_vm(vm)
    await directory.disconnect("pool-0")
    with pytest.raises(PoolUnreachable) as caught:
        await directory.pool_of_vm(vm)
    assert caught.value.evidence["objectId"] == pool.uuid
    with pytest.raises(PoolUnreachable):
        await pool.power_state(vm)
    await directory.connect("pool-0")
    assert await directory.pool_of_vm(vm) is pool
    assert await pool.power_state(vm)


async def test_servers_are_removed_and_ids_are_taken_once(
    site: Site, directory: Directory, server_of: ServerOf
) -> None:
    """And a host that cannot be understood is refused."""
    with pytest.raises(InvalidRequest):
        await directory.add(server_of(site.pools[0]))
    with pytest.raises(InvalidRequest):
        await directory.add(server_of(site.pools[0], id="x", host="ftp://h"))
    await directory.remove("pool-1")
    with pytest.raises(NoSuchObject):
        directory.state("pool-1")
    with pytest.raises(NoSuchObject):
        await directory.remove("pool-1")


async def test_a_read_only_server_is_not_changed(site: Site, empty: Directory, server_of: ServerOf) -> None:
    """Reading goes on."""
    await empty.add(server_of(site.pools[0], read_only=True))
    await empty.connect("pool-0")
    vm = site.pools[0].vms[0].uuid
    pool = await empty.pool_of_vm(vm)
    assert (await pool.read_vm(vm)).name_label == "web-1"
    with pytest.raises(ForbiddenOperation):
        await pool.block_operations(vm, {"start": "x"})


async def test_a_lost_session_is_renewed_by_reads_only(site: Site, directory: Directory, source: Pool) -> None:
    """A call that changes something never logs in by itself (R16)."""
    vm = site.pools[0].vms[0].uuid
    ref = await source.calls.call("VM.get_by_uuid", vm)
    for change in (True, False):
        await end_session(source)
        if change:
            with pytest.raises(PoolError) as caught:
                await source.calls.call("VM.set_name_description", ref, "changed")
            assert caught.value.code == "SESSION_INVALID"
        assert await source.calls.call("VM.get_name_description", ref) != "changed"
    await source.calls.call("VM.set_name_description", ref, "changed")


async def test_a_read_outlives_a_master_that_goes_while_it_is_asked(
    site: Site, source: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection breaks, and then it is no master any more; what changes something is sent once, all the same."""
    vm = site.pools[0].vms[0].uuid
    ref = await source.calls.call("VM.get_by_uuid", vm)
    connection: Any = source.calls
    plain = connection._once
    broken = PoolUnreachable("it broke")
    broken.__cause__ = ConnectionResetError()
    slave = PoolError("refused", code="HOST_IS_SLAVE", evidence={"xapi": ["HOST_IS_SLAVE", "192.0.2.1"]})
    troubles: list[PoolError] = []

    def once(address: Any, session: str, method: str, arguments: tuple[Any, ...]) -> Any:
        if method.startswith("VM.") and troubles:
            raise troubles.pop(0)
        return plain(address, session, method, arguments)

    monkeypatch.setattr(connection, "_once", once)
    troubles += [broken, slave]
    assert await source.calls.call("VM.get_uuid", ref) == vm
    assert troubles == []
    troubles += [broken, slave]
    with pytest.raises(PoolUnreachable):
        await source.calls.call("VM.set_name_description", ref, "changed")
    assert troubles == [slave]


async def end_session(pool: Pool) -> None:
    """As another client that is root may do, or a restart of the toolstack."""
    connection: Any = pool.calls
    await connection.in_thread(
        lambda: connection._with_rpc(connection.address, "x", lambda rpc: rpc.log_out(connection.session))
    )


async def test_a_pool_that_dies_is_noticed_and_found_again(site: Site, directory: Directory, eventually: Any) -> None:
    """Without anybody asking for it; meanwhile its SRs are named as out of reach."""
    sr = site.pools[1].srs[1].uuid
    pool = await directory.pool_of_sr(sr)
    site.pools[1].kill()
    with pytest.raises(PoolUnreachable) as caught:
        await directory.pool_of_sr(sr)
    assert (caught.value.evidence["pool"], caught.value.evidence["objectId"]) == ("pool-1", pool.uuid)
    await eventually(lambda: directory.state("pool-1").status is ServerStatus.DISCONNECTED)
    error = directory.state("pool-1").error
    assert error is not None
    assert error["code"] == "POOL_UNREACHABLE"
    pools, silent = await directory.connected()
    assert ([found.name for found in pools], silent) == (["pool-0"], ["pool-1"])
    site.pools[1].restart()
    await eventually(lambda: directory.state("pool-1").status is ServerStatus.CONNECTED)
    assert await directory.pool_of_sr(sr) is pool


@pytest.mark.parametrize("asking", ["a call", "the directory"])
async def test_a_pool_that_somebody_waits_for_is_tried_sooner(
    site: Site, empty: Directory, server_of: ServerOf, monkeypatch: pytest.MonkeyPatch, eventually: Any, asking: str
) -> None:
    """However long the back-off has become; and no more often than after one failure."""
    vm = site.pools[0].vms[0].uuid
    monkeypatch.setattr(server, "LONGEST_RETRY_SECONDS", 600.0)
    monkeypatch.setattr(server, "FIRST_RETRY_SECONDS", 600.0)
    await empty.add(server_of(site.pools[0]))
    await empty.connect("pool-0")
    source = await empty.pool_of_vm(vm)
    tries: list[str] = []
    plain = server.Server._try

    async def counted(self: server.Server) -> Any:
        tries.append(self.name)
        return await plain(self)

    site.pools[0].kill()
    with pytest.raises(PoolUnreachable):
        await source.power_state(vm)
    await eventually(lambda: empty.state("pool-0").status is ServerStatus.DISCONNECTED)
    site.pools[0].restart()
    monkeypatch.setattr(server.Server, "_try", counted)

    async def ask() -> None:
        with contextlib.suppress(PoolError):
            if asking == "the directory":
                await empty.pool(source.uuid)
            else:
                await source.calls.call("VM.set_name_description", "OpaqueRef:NULL", "")

    await ask()
    await asyncio.sleep(0.05)
    assert tries == []
    monkeypatch.setattr(server, "FIRST_RETRY_SECONDS", 0.0)
    await ask()
    await eventually(lambda: empty.state("pool-0").status is ServerStatus.CONNECTED)
    assert await empty.pool(source.uuid) is source
    assert tries == ["pool-0"]


async def test_certificates_are_pinned_or_refused(empty: Directory, server_of: ServerOf) -> None:
    """The whole way over TLS, a disk included."""
    with start_site(SiteConfig(pools=[PoolConfig(name="tls", https=True)])) as site:
        pool = site.pools[0]
        await empty.add(server_of(pool, enabled=False))
        with pytest.raises(PoolError) as caught:
            await empty.connect("tls")
        assert caught.value.code == "CERTIFICATE_UNKNOWN"
        await empty.remove("tls")
        await empty.add(server_of(pool, allow_unauthorized=True))
        await empty.connect("tls")
        fingerprint = empty.state("tls").fingerprint
        assert fingerprint is not None
        sr = pool.srs[0].uuid
        vdi = await make_vdi(await empty.pool_of_sr(sr), sr)
        imported = await (await empty.pool_of_sr(sr)).open_import(vdi)
        imported.stream.writev([bytes(12)])
        await imported.finish()
        await empty.remove("tls")
        await empty.add(server_of(pool, fingerprint=fingerprint))
        await empty.connect("tls")
        await empty.remove("tls")


async def make_vdi(pool: Pool, sr: str) -> str:
    ref = await pool.calls.call("SR.get_by_uuid", sr)
    record = {
        "SR": ref,
        "virtual_size": "4194304",
        "type": "user",
        "sharable": False,
        "read_only": False,
        "other_config": {},
    }
    return str(await pool.calls.call("VDI.get_uuid", await pool.calls.call("VDI.create", record)))


async def test_a_server_is_changed(site: Site, empty: Directory, server_of: ServerOf, eventually: Any) -> None:
    """What does not concern connecting at any time; the rest only while it is not connected."""
    await empty.add(server_of(site.pools[0]))
    await empty.connect("pool-0")
    await empty.change(server_of(site.pools[0], label="lab", read_only=True))
    assert (empty.state("pool-0").label, empty.state("pool-0").status) == ("lab", ServerStatus.CONNECTED)
    pool = await empty.pool_of_vm(site.pools[0].vms[0].uuid)
    with pytest.raises(ForbiddenOperation):
        await pool.calls.call("VM.set_name_label", "x", "y")
    with pytest.raises(PoolError) as refused:
        await empty.change(server_of(site.pools[0], password="other"))
    assert refused.value.code == "SERVER_CONNECTED"
    await empty.disconnect("pool-0")
    await empty.change(server_of(site.pools[0], password="other"))
    with pytest.raises(PoolError):
        await empty.connect("pool-0")
    await empty.change(server_of(site.pools[0]))
    assert empty.state("pool-0").status is ServerStatus.DISCONNECTED
    await empty.connect("pool-0")
    with pytest.raises(NoSuchObject):
        await empty.change(server_of(site.pools[0], id="nothing"))


async def test_a_server_that_cannot_be_reached_tries_at_its_new_address(
    site: Site, empty: Directory, server_of: ServerOf, eventually: Any
) -> None:
    """Without being told to connect again."""
    await empty.add(server_of(site.pools[0], host="http://127.0.0.1:1"))
    await eventually(lambda: empty.state("pool-0").error is not None)
    await empty.change(server_of(site.pools[0]))
    await eventually(lambda: empty.state("pool-0").status is ServerStatus.CONNECTED)
