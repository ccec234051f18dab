"""The records of all pools, kept current: simulated pools on the real wire."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from xo_warmig.model.servers import ServerCredentials, ServerStatus
from xo_warmig.simulator.launch import Site
from xo_warmig.xapi import mirror
from xo_warmig.xapi.directory import Directory
from xo_warmig.xapi.mirrored import CLASSES, Change, State
from xo_warmig.xapi.objects import NULL
from xo_warmig.xapi.pool import Pool

ServerOf = Callable[..., ServerCredentials]


class Follower:
    """A listener that keeps what it is told, as a client would."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str, str], Any] = {}
        self.batches = 0

    def __call__(self, pool: str, changes: list[Change]) -> None:
        self.batches += 1
        for cls, ref, record in changes:
            if record is None:
                del self.known[pool, cls, ref]
            else:
                self.known[pool, cls, ref] = record


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "REST_SECONDS", 0.01)


@pytest.fixture
async def follower(directory: Directory) -> AsyncIterator[Follower]:
    """Follows both pools, and has heard all of them."""
    found = Follower()
    unsubscribe = directory.subscribe(found)
    await directory.records()
    yield found
    unsubscribe()


def flat(records: dict[str, State]) -> dict[tuple[str, str, str], Any]:
    return {
        (pool, cls, ref): record
        for pool, state in records.items()
        for cls, known in state.items()
        for ref, record in known.items()
    }


async def all_of(pool: Pool) -> dict[str, set[str]]:
    """The references of every class that a client could ask the pool for."""
    return {cls: set(await pool.calls.call(f"{cls}.get_all_records")) for cls in CLASSES}


def refs(state: State) -> dict[str, set[str]]:
    return {cls: set(known) for cls, known in state.items()}


def waiting() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("xapi-wait")]


async def test_the_records_are_those_that_the_pools_have(
    directory: Directory, follower: Follower, source: Pool, target: Pool
) -> None:
    """Of every class, in every field; and what was told leads to the same."""
    records = await directory.records()
    assert set(records) == {source.uuid, target.uuid}
    for pool in (source, target):
        assert refs(records[pool.uuid]) == await all_of(pool)
    vms = await source.calls.call("VM.get_all_records")
    assert {ref: vm["other_config"] for ref, vm in records[source.uuid]["VM"].items()} == {
        ref: vm["other_config"] for ref, vm in vms.items()
    }
    assert set(vms[next(iter(vms))]) == set(records[source.uuid]["VM"][next(iter(vms))])
    assert follower.known == flat(records)


async def test_changes_are_heard_soon(
    directory: Directory, follower: Follower, source: Pool, vm_named: Callable[[str], str], eventually: Any
) -> None:
    """What came, changed and went."""
    ref = await source.calls.call("VM.get_by_uuid", vm_named("uefi"))
    started = time.monotonic()
    await source.calls.call("VM.set_name_description", ref, "heard")
    await eventually(lambda: follower.known[source.uuid, "VM", ref]["name_description"] == "heard")
    assert time.monotonic() - started < 5
    task = await source.calls.call("task.create", "ours", "")
    await eventually(lambda: (source.uuid, "task", task) in follower.known)
    await source.calls.call("task.destroy", task)
    await source.calls.call("task.set_status", task, "success")
    await eventually(lambda: (source.uuid, "task", task) not in follower.known)
    assert follower.known == flat(await directory.records())


async def test_a_storm_of_changes_leads_to_what_the_pool_has(
    directory: Directory,
    follower: Follower,
    source: Pool,
    vm_named: Callable[[str], str],
    eventually: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Disks, VBDs, tasks and messages come and go, many at once, while others change; the pool's counts were right all the time."""
    caplog.set_level(logging.INFO, logger=mirror.__name__)
    calls = source.calls
    vm = await calls.call("VM.get_by_uuid", vm_named("uefi"))

    async def one(number: int) -> None:
        snapshot = await calls.call("VM.snapshot", vm, f"s{number}")
        await calls.call("message.create", f"m{number}", "3", "VM", vm_named("uefi"), "")
        await calls.call("VM.add_to_other_config", vm, f"storm{number}", "x")
        if number % 3:
            vdis = [await calls.call("VBD.get_VDI", vbd) for vbd in await calls.call("VM.get_VBDs", snapshot)]
            for vdi in [vdi for vdi in vdis if vdi != NULL]:
                await calls.call("VDI.destroy", vdi)
            await calls.call("VM.destroy", snapshot)

    await asyncio.gather(*(one(number) for number in range(12)))
    records = await directory.records()

    async def settled() -> bool:
        return refs(records[source.uuid]) == await all_of(source)

    await eventually(settled)
    assert follower.known == flat(records)
    assert len([key for key in records[source.uuid]["VM"][vm]["other_config"] if key.startswith("storm")]) == 12
    assert not caplog.messages


async def test_lost_events_are_made_good(
    site: Site, directory: Directory, follower: Follower, source: Pool, ask: Any, eventually: Any
) -> None:
    """The pool says so once, and what happened meanwhile is told all the same."""
    ask(site.pools[0], "faults", kind="fail", match="event.from", error=["EVENTS_LOST"])
    for name in ("a", "b"):
        await source.calls.call("pool.set_name_description", await pool_ref(source), name)
        await asyncio.sleep(0.1)
    key = (source.uuid, "pool", await pool_ref(source))
    await eventually(lambda: follower.known[key]["name_description"] == "b")


async def pool_ref(pool: Pool) -> str:
    (ref,) = await pool.calls.call("pool.get_all")
    return str(ref)


async def end_session(pool: Pool) -> None:
    """As a restart of the toolstack does."""
    connection: Any = pool.calls
    await connection.in_thread(
        lambda: connection._with_rpc(connection.address, "x", lambda rpc: rpc.log_out(connection.session))
    )


async def test_a_lost_session_is_replaced_by_who_keeps_the_connection(
    site: Site, directory: Directory, follower: Follower, source: Pool, eventually: Any
) -> None:
    """Though nobody calls anything; then everything is read anew."""
    connection: Any = source.calls
    session = connection.session
    await end_session(source)
    await eventually(lambda: connection.session not in ("", session))
    await source.calls.call("pool.set_name_description", await pool_ref(source), "after")
    key = (source.uuid, "pool", await pool_ref(source))
    await eventually(lambda: follower.known[key]["name_description"] == "after")


async def test_a_pool_that_dies_keeps_its_records_and_is_read_anew(
    site: Site, directory: Directory, follower: Follower, target: Pool, eventually: Any
) -> None:
    """What went while it was away is told: its tasks."""
    task = await target.calls.call("task.create", "ours", "")
    await eventually(lambda: (target.uuid, "task", task) in follower.known)
    site.pools[1].kill()
    await eventually(lambda: directory.state("pool-1").status is ServerStatus.DISCONNECTED)
    assert (target.uuid, "task", task) in follower.known
    assert set(await asyncio.wait_for(directory.records(), 1)) >= {target.uuid}
    site.pools[1].restart()
    await eventually(lambda: (target.uuid, "task", task) not in follower.known)
    assert [key for key in follower.known if key[:2] == (target.uuid, "SR")]
    assert follower.known == flat(await directory.records())


async def test_a_pool_that_is_left_on_purpose_is_gone_until_it_is_connected_again(
    site: Site, directory: Directory, follower: Follower, source: Pool, server_of: ServerOf, eventually: Any
) -> None:
    """Disconnected or removed, at once though its pool holds an answer back; the thread that waited ends too."""

    async def heard() -> bool:
        known = {uuid for uuid, _, _ in follower.known}
        return source.uuid in known and follower.known == flat(await directory.records())

    assert {uuid for uuid, _, _ in follower.known} >= {source.uuid}
    before = len(waiting())
    for leave in (directory.disconnect, directory.remove):
        started = time.monotonic()
        await leave("pool-0")
        assert time.monotonic() - started < 5
        assert source.uuid not in {uuid for uuid, _, _ in follower.known}
        assert source.uuid not in await directory.records()
        if leave == directory.remove:
            await eventually(lambda: len(waiting()) < before)
            await directory.add(server_of(site.pools[0]))
        await directory.connect("pool-0")
        await eventually(heard)


async def test_a_pool_that_says_nothing_any_more_is_left_at_once(
    site: Site, directory: Directory, follower: Follower, source: Pool, ask: Any, eventually: Any
) -> None:
    """Not even an end of the session wakes the question that waits there."""
    before = len(waiting())
    await silence(site, source, ask, eventually)
    started = time.monotonic()
    await directory.disconnect("pool-0")
    await eventually(lambda: len(waiting()) == before)
    await directory.remove("pool-0")
    await eventually(lambda: len(waiting()) < before)
    assert time.monotonic() - started < 5
    ask(site.pools[0], "faults", clear=True)


async def test_a_new_session_ends_a_question_in_the_old_one(
    site: Site, directory: Directory, follower: Follower, source: Pool, ask: Any, eventually: Any
) -> None:
    """The host that it was put to may be gone without a word."""
    await silence(site, source, ask, eventually)
    await end_session(source)
    await source.calls.call("pool.set_name_description", await pool_ref(source), "in the new session")
    key = (source.uuid, "pool", await pool_ref(source))
    await eventually(lambda: follower.known[key]["name_description"] == "in the new session")
    ask(site.pools[0], "faults", clear=True)


async def silence(site: Site, pool: Pool, ask: Any, eventually: Any) -> None:
    """From now on until the fault is cleared, the next question is not answered."""
    ask(site.pools[0], "faults", clear=True)
    ask(site.pools[0], "faults", kind="hang", match="event.from")
    await pool.calls.call("pool.set_name_description", await pool_ref(pool), "the last that was heard")
    await eventually(lambda: [fault["left"] for fault in ask(site.pools[0], "faults")["faults"]] == [0])


async def test_without_anybody_who_asks_there_is_no_mirror(directory: Directory, source: Pool) -> None:
    """No thread, no connection, no question."""
    assert await source.calls.call("pool.get_all")
    assert waiting() == []
    assert await directory.records()
    assert len(waiting()) == 2
    await asyncio.wait_for(directory.close(), 5)
    deadline = time.monotonic() + 5
    while waiting() and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert waiting() == []


async def test_a_mirror_that_waits_slows_no_call(directory: Directory, follower: Follower, source: Pool) -> None:
    """As many calls as the pool's connection allows go side by side, on other connections than the one that waits."""
    connection: Any = source.calls
    barrier = threading.Barrier(16)
    await asyncio.gather(*(connection.in_thread(barrier.wait, 5) for _ in range(16)))
    assert len(connection._waiting._busy) + len(connection._waiting._idle) == 1
    assert await source.calls.call("pool.get_all")


async def test_a_listener_that_fails_harms_no_other(
    directory: Directory, follower: Follower, source: Pool, eventually: Any
) -> None:
    """And one that left hears no more."""
    heard: list[str] = []

    def fails(pool: str, changes: list[Change]) -> None:
        heard.append(pool)
        raise ValueError(pool)

    unsubscribe = directory.subscribe(fails)
    for name, times in (("one", True), ("two", False)):
        heard.clear()
        await source.calls.call("pool.set_name_description", await pool_ref(source), name)
        key = (source.uuid, "pool", await pool_ref(source))
        await eventually(lambda key=key, name=name: follower.known[key]["name_description"] == name)
        assert bool(heard) is times
        if times:
            unsubscribe()
