"""Transfers against the simulator: how they end when nothing goes as it should."""

import asyncio
import contextlib
import hashlib
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from xo_warmig.errors import NoSuchObject, PoolError, TransferError
from xo_warmig.model.vm import Disk
from xo_warmig.replication.retries import may_pass
from xo_warmig.simulator.launch import Site
from xo_warmig.xapi.clearing import IMPORT_LABEL, description_of
from xo_warmig.xapi.directory import Directory
from xo_warmig.xapi.pool import Pool
from xo_warmig.xapi.streams import STALL_SECONDS, SocketSink, SocketSource
from xo_warmig.xapi.transfers import Transfer

END = bytes(12)
Named = Callable[[str], str]


@pytest.fixture
async def disk(source: Pool, vm_named: Named) -> Disk:
    """A disk of a halted VM, with data."""
    return (await source.read_vm(vm_named("uefi"))).disks[0]


@pytest.fixture
async def vdi(site: Site, target: Pool, disk: Disk, request: pytest.FixtureRequest) -> str:
    """An empty disk on the target."""
    return await target.create_disk(disk, sr=site.pools[1].srs[0].uuid, migration=request.node.name, epoch=1)


@pytest.fixture
async def no_faults(site: Site, ask: Any) -> AsyncIterator[None]:
    yield
    for pool in site.pools:
        ask(pool, "faults", clear=True)


def held(state: Any) -> list[Any]:
    return [vbd for vbd in state["dom0_vbds"] if vbd.get("currently_attached", True)]


def tasks_of(state: Any) -> list[str]:
    return [task["name_label"] for task in state["tasks"] if task["name_label"].startswith("xo_warmig")]


async def feed(imported: Transfer[SocketSink], pieces: list[list[bytes]]) -> None:
    for piece in [*pieces, [END]]:
        await asyncio.to_thread(imported.stream.writev, piece)
    await imported.finish()


async def drain(exported: Transfer[SocketSource]) -> None:
    buffer = memoryview(bytearray(1 << 20))
    while await asyncio.to_thread(exported.stream.readinto, buffer) == len(buffer):
        pass
    await exported.finish()


async def test_a_finished_export_leaves_nothing_behind(site: Site, source: Pool, disk: Disk, ask: Any) -> None:
    """No VBD, no task; the disk could be started or destroyed at once."""
    exported = await source.open_export(disk.vdi, base=None)
    buffer = memoryview(bytearray(1 << 20))
    first = await asyncio.to_thread(exported.stream.readinto, buffer)
    assert bytes(buffer[:8]) == b"conectix"
    await drain(exported)
    state = ask(site.pools[0], "state")
    assert first == len(buffer)
    assert (held(state), tasks_of(state)) == ([], [])


async def test_an_import_is_confirmed_by_its_task(site: Site, target: Pool, disk: Disk, vdi: str, ask: Any) -> None:
    """The bytes are on the disk then, and the disk is free."""
    imported = await target.open_import(vdi)
    data = bytes(range(256)) * 256
    await feed(imported, [[struct.pack("<QI", 1 << 20, len(data)), data]])
    state = ask(site.pools[1], f"state?hash=1&vdi={vdi}")
    assert (held(state), tasks_of(state)) == ([], [])
    expected = hashlib.sha256(struct.pack("<QQ", disk.virtual_size_bytes, 1 << 20) + data).hexdigest()
    assert [each["hash"] for each in state["vdis"] if each["uuid"] == vdi] == [expected]


async def test_an_import_stands_open_until_it_is_fed(site: Site, target: Pool, vdi: str) -> None:
    """It is opened before the downtime."""
    imported = await target.open_import(vdi)
    await asyncio.sleep(0.5)
    imported.stream.writev([END])
    await imported.finish()


@pytest.mark.parametrize("read_bytes", [0, 1 << 20])
async def test_an_aborted_export_frees_its_disk(
    site: Site, source: Pool, disk: Disk, ask: Any, read_bytes: int
) -> None:
    """Even one that was only just opened, whose disk may not be attached yet (R10)."""
    exported = await source.open_export(disk.vdi, base=None)
    if read_bytes:
        await asyncio.to_thread(exported.stream.readinto, memoryview(bytearray(read_bytes)))
    await exported.abort()
    state = ask(site.pools[0], "state")
    assert (held(state), tasks_of(state)) == ([], [])
    await exported.abort()


async def test_an_aborted_import_frees_its_disk(site: Site, target: Pool, vdi: str, ask: Any) -> None:
    """So the next one can be opened at once."""
    imported = await target.open_import(vdi)
    imported.stream.writev([struct.pack("<QI", 0, 65536), bytes(100)])
    await imported.abort()
    assert held(ask(site.pools[1], "state")) == []
    again = await target.open_import(vdi)
    again.stream.writev([END])
    await again.finish()


async def test_cancelling_an_opening_leaves_nothing_behind(
    site: Site, source: Pool, disk: Disk, ask: Any, eventually: Any
) -> None:
    """Whichever moment it comes in."""
    for milliseconds in range(0, 16, 3):
        opening = asyncio.ensure_future(source.open_export(disk.vdi, base=None))
        await asyncio.sleep(milliseconds / 1000)
        opening.cancel()
        done = await asyncio.gather(opening, return_exceptions=True)
        if not isinstance(done[0], BaseException):
            await done[0].abort()
        elif not isinstance(done[0], asyncio.CancelledError):
            raise done[0]
    await eventually(lambda: not held(ask(site.pools[0], "state")))


async def test_bytes_beyond_the_disk_fail_with_the_pool_s_reason(target: Pool, vdi: str, disk: Disk) -> None:
    """By the task, as the head of the answer was a success."""
    imported = await target.open_import(vdi)
    beyond = struct.pack("<QI", disk.virtual_size_bytes + (2 << 20), 65536)
    with pytest.raises(TransferError) as caught:
        await feed(imported, [[beyond, bytes(65536)]])
    assert caught.value.code == "VDI_IO_ERROR"
    assert caught.value.evidence["disk"] == vdi
    await imported.abort()


async def test_a_cut_import_is_an_error_and_can_be_aborted(
    site: Site, target: Pool, vdi: str, ask: Any, no_faults: None
) -> None:
    """Never a success without the end marker (R22)."""
    ask(site.pools[1], "faults", kind="cut", match="import_raw_vdi", at=1 << 20)
    imported = await target.open_import(vdi)
    with pytest.raises(TransferError):
        await feed(imported, [[struct.pack("<QI", number << 20, 1 << 20), bytes(1 << 20)] for number in range(64)])
    await imported.abort()
    assert held(ask(site.pools[1], "state")) == []


async def test_a_failed_export_is_not_finished(site: Site, source: Pool, disk: Disk, ask: Any, no_faults: None) -> None:
    """The task says so, or the text in the place of the disk does."""
    ask(site.pools[0], "faults", kind="fail", match="export_raw_vdi", at=0, error=["VDI_IO_ERROR", "Device I/O errors"])
    exported = await source.open_export(disk.vdi, base=None)
    with pytest.raises(TransferError) as caught:
        await drain(exported)
    assert caught.value.code == "VDI_IO_ERROR"
    await exported.abort()
    assert held(ask(site.pools[0], "state")) == []


async def test_a_disk_that_is_not_there_is_named(source: Pool) -> None:
    """Before anything is opened."""
    with pytest.raises(NoSuchObject):
        await source.open_export("nowhere", base=None)
    with pytest.raises(NoSuchObject):
        await source.open_import("nowhere")


async def test_the_next_process_clears_away_what_this_one_left(
    site: Site, ask: Any, target: Pool, directory: Directory, vdi: str, server_of: Callable[..., Any]
) -> None:
    """A task whose transfer was never begun, of the same configured server; not that of a transfer that runs."""
    imported = await target.open_import(vdi)
    connection: Any = target.calls
    await connection.call("task.create", IMPORT_LABEL, description_of("nowhere", connection.origin))
    assert len(tasks_of(ask(site.pools[1], "state"))) == 2
    await directory.disconnect("pool-1")
    successor = Directory()
    await successor.add(server_of(site.pools[1]))
    await successor.connect("pool-1")
    async with asyncio.timeout(10):  # connecting does not wait for it
        while len(tasks_of(ask(site.pools[1], "state"))) > 1:
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)
    assert len(tasks_of(ask(site.pools[1], "state"))) == 1
    await successor.close()
    await directory.connect("pool-1")
    await imported.abort()


@pytest.mark.parametrize("call", ["VDI.get_all_records_where", "VBD.get_all_records_where", "SR.get_PBDs"])
async def test_a_transfer_that_never_began_leaves_no_task(
    site: Site, ask: Any, target: Pool, vdi: str, no_faults: None, call: str
) -> None:
    """Its task is nobody's, and would stay pending for ever."""
    target._transfers._hosts.clear()
    ask(site.pools[1], "faults", kind="fail", match=call)
    with pytest.raises(PoolError, match="INTERNAL_ERROR"):
        await target.open_import(vdi)
    assert tasks_of(ask(site.pools[1], "state")) == []


async def test_a_disk_is_not_taken_from_a_writer(site: Site, target: Pool, vdi: str, ask: Any) -> None:
    """R16: the pool refuses to detach what a transfer has open."""
    imported = await target.open_import(vdi)
    with pytest.raises(PoolError) as caught:
        await target.release_disk(vdi)
    assert caught.value.code == "DEVICE_DETACH_REJECTED"
    await feed(imported, [])
    assert held(ask(site.pools[1], "state")) == []


async def test_a_disk_has_one_writer(site: Site, target: Pool, vdi: str, ask: Any, eventually: Any) -> None:
    """R16: the pool would let a second import write to it, so we do not ask for one."""
    imported = await target.open_import(vdi)
    await eventually(lambda: held(ask(site.pools[1], "state")))
    with pytest.raises(TransferError) as caught:
        await target.open_import(vdi)
    assert (caught.value.code, may_pass(caught.value)) == ("VDI_IN_USE", True)
    assert len(tasks_of(ask(site.pools[1], "state"))) == 1
    await feed(imported, [])
    await feed(await target.open_import(vdi), [])


@pytest.mark.parametrize("back", ["before it is closed", "after"])
async def test_a_disk_that_a_killed_toolstack_left_attached_is_opened_again(
    site: Site, target: Pool, vdi: str, ask: Any, eventually: Any, back: str
) -> None:
    """Its task is forgotten, and nobody but us would ever detach it."""
    imported = await target.open_import(vdi)
    await eventually(lambda: held(ask(site.pools[1], "state")))
    site.pools[1].kill()
    if back == "after":
        await imported.abort()
    site.pools[1].restart()
    assert len(held(ask(site.pools[1], "state"))) == 1
    if back != "after":
        await imported.abort()
        assert held(ask(site.pools[1], "state")) == []
    await feed(await _opened_again(target, vdi), [])
    assert held(ask(site.pools[1], "state")) == []


async def _opened_again(target: Pool, vdi: str) -> Transfer[SocketSink]:
    """As soon as the session is renewed."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(PoolError):
                return await target.open_import(vdi)
            await asyncio.sleep(0.05)


async def test_a_qcow2_export_can_be_had_where_the_release_has_it(
    source: Pool, target: Pool, disk: Disk, vdi: str
) -> None:
    """Broken off after its head it leaves nothing attached; elsewhere the refusal is known by its status."""
    exported = await source.open_qcow2(disk.vdi)
    head = bytearray(4)
    await asyncio.to_thread(exported.stream.readinto, memoryview(head))
    assert head == b"QFI\xfb"
    await exported.abort()
    assert await source.attachments([disk.vdi]) == [
        each for each in await source.attachments([disk.vdi]) if not each.is_control_domain
    ]
    with pytest.raises(TransferError, match="Unknown format qcow2") as error:
        await target.open_qcow2(vdi)
    assert error.value.evidence["status"] == 404


async def test_that_no_differences_of_a_disk_are_exported_lasts(
    source: Pool, vm_named: Named, request: pytest.FixtureRequest
) -> None:
    """xapi has no code of its own for it; ours says what helps, and nothing tries again. A whole export there is."""
    (disk,) = (await source.read_vm(vm_named("qcow2"))).disks
    assert disk.image_format == "qcow2"
    base = await source.snapshot_disk(disk.vdi, tag=f"{request.node.name}/1", epoch=1)
    assert await source.image_format(base) == "qcow2"
    exported = await source.open_export(disk.vdi, base=base)
    with pytest.raises(TransferError) as error:
        await drain(exported)
    await exported.abort()
    assert (error.value.code, may_pass(error.value)) == ("NO_DIFFERENCES_EXPORTED", False)
    assert "serve NBD" in error.value.remedy
    await drain(await source.open_export(disk.vdi, base=None))
    await source.destroy_disk(base)


async def test_a_whole_export_of_another_image_may_be_silent_for_as_long_as_it_is_large(
    source: Pool, vm_named: Named
) -> None:
    """Beside the stall time of any transfer."""
    for name, silent_seconds in (("qcow2", 1024 / 20), ("uefi", 0.0)):
        (disk,) = (await source.read_vm(vm_named(name))).disks
        exported = await source.open_export(disk.vdi, base=None)
        assert exported.stream._stall_seconds == pytest.approx(STALL_SECONDS + silent_seconds)
        await exported.abort()
