"""The process is killed before and after every single call of what makes something; the next one finds it, and makes no second."""

import copy
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from xo_warmig.model.vm import Disk
from xo_warmig.xapi import clones, creation, door, snapshots
from xo_warmig.xapi.reading import read_vm
from xo_warmig.xapi.records import Origin

BLOCKED = {"start": "xo_warmig: not yet", "destroy": "xo_warmig: not yet"}
LABEL = "xo_warmig:snapshot"


class Killed(BaseException):
    """The process ends here."""


class Mortal:
    """The pool, for a process that is killed at call number ``left``: ``after`` it came true, or before."""

    def __init__(self, pool: Any, left: int, *, after: bool) -> None:
        self.pool = pool
        self.left = left
        self.after = after

    async def call(self, method: str, *arguments: Any) -> Any:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Killed
        answer = await self.pool.call(method, *arguments)
        if self.left == 0:
            raise Killed
        return answer


async def sweep(
    pool: Any, work: Callable[[Any, int], Awaitable[Any]], check: Callable[[Any], None], *, at_least: int
) -> None:
    """Kill the work (of calls and epoch) at each of its calls, do it again, and check what is there then."""
    start = copy.deepcopy(pool.records)
    points = 0
    for after in (False, True):
        for last in range(1, 100):
            pool.records = copy.deepcopy(start)
            try:
                await work(Mortal(pool, last, after=after), 1)
            except Killed:
                check(await work(pool, 2))
                points += 1
            else:
                break
    assert points >= at_least


@pytest.fixture
def disk() -> Disk:
    return Disk(
        vdi="vdi-1",
        sr="sr-1",
        device="0",
        mode="RW",
        bootable=True,
        unpluggable=True,
        virtual_size_bytes=8 << 30,
        physical_bytes=0,
        name_label="root",
        name_description="",
    )


def only(pool: Any, cls: str, *, beside: set[str]) -> dict[str, Any]:
    """The only object of its class that was not there from the beginning; it is claimed."""
    (made,) = set(pool.records[cls]) - beside
    record: dict[str, Any] = pool.get(cls, made)
    assert record["other_config"]["xo_warmig:self"] == record["uuid"]
    return record


async def test_making_a_target(pool: Any, make_vm: Callable[..., str]) -> None:
    """Blocked, and a VM, in the end."""
    for cls in ("network", "PIF", "SR", "VIF", "VBD", "VDI"):
        pool.records.setdefault(cls, {})
    source_ref = make_vm()
    source = await read_vm(pool, Origin("p", "lab", (2, 21)), pool.get("VM", source_ref)["uuid"])

    async def work(calls: Any, epoch: int) -> str:
        return await creation.create_vm(
            calls, source, migration="m-1", epoch=epoch, blocked=BLOCKED, api_version=(2, 21)
        )

    def check(uuid: str) -> None:
        record = only(pool, "VM", beside={source_ref})
        assert (record["uuid"], record["is_a_template"], record["blocked_operations"]) == (uuid, False, BLOCKED)

    await sweep(pool, work, check, at_least=14)


async def test_making_a_disk(pool: Any, disk: Disk) -> None:
    """One, of its role."""
    sr = pool.get("SR", pool.add("SR"))["uuid"]
    pool.records["VDI"] = {}

    async def work(calls: Any, epoch: int) -> str:
        return await creation.create_disk(calls, disk, sr=sr, migration="m-1", epoch=epoch)

    def check(uuid: str) -> None:
        record = only(pool, "VDI", beside=set())
        assert (record["uuid"], record["other_config"]["xo_warmig:role"]) == (uuid, "disk:vdi-1")

    await sweep(pool, work, check, at_least=12)


async def test_taking_a_snapshot(pool: Any, copies: None, make_vdi: Callable[..., str]) -> None:
    """No label stays on the disk."""
    ref = make_vdi(other_config={"theirs": "t"})
    vdi = pool.get("VDI", ref)["uuid"]

    async def work(calls: Any, epoch: int) -> str:
        return await snapshots.snapshot_disk(calls, vdi, tag="m-1/1", epoch=epoch)

    def check(uuid: str) -> None:
        record = only(pool, "VDI", beside={ref})
        assert (record["uuid"], record["other_config"]["xo_warmig:tag"]) == (uuid, "m-1/1")
        assert LABEL not in record["other_config"]
        assert pool.get("VDI", ref)["other_config"] == {"theirs": "t"}

    await sweep(pool, work, check, at_least=20)


async def test_cloning_a_disk(pool: Any, copies: None, make_vdi: Callable[..., str], disk: Disk) -> None:
    """No label stays on its origin, whose tags are its own."""
    ref = make_vdi()
    origin = pool.get("VDI", ref)
    vdi = origin["uuid"]
    tags = {"xo_warmig:migration": "m-1", "xo_warmig:role": "disk:vdi-1", "xo_warmig:self": vdi}
    origin["other_config"] = dict(tags)

    async def work(calls: Any, epoch: int) -> str:
        return await clones.clone_disk(calls, vdi, disk, migration="m-1", epoch=epoch)

    def check(uuid: str) -> None:
        record = only(pool, "VDI", beside={ref})
        assert (record["uuid"], record["other_config"]["xo_warmig:role"]) == (uuid, f"disk:vdi-1/{vdi}")
        assert LABEL not in record["other_config"]
        assert pool.get("VDI", ref)["other_config"] == tags

    await sweep(pool, work, check, at_least=20)


async def test_entering_and_leaving_by_the_door(
    pool: Any, make_vm: Callable[..., str], make_vdi: Callable[..., str], make_vbd: Callable[..., str]
) -> None:
    """Each epoch has a key of its own; in the end there is none."""
    ref = make_vm(other_config={"theirs": "t"})
    make_vbd(ref, make_vdi(other_config={LABEL: "m-1/1/r/20261126T00:00:00Z"}))
    vm = pool.get("VM", ref)["uuid"]

    async def enter(calls: Any, epoch: int) -> None:
        await door.claim_door(calls, vm, f"m-1/{epoch}/r", migration="m-1")

    async def leave(calls: Any, epoch: int) -> None:
        await door.release_door(calls, vm, migration="m-1")

    def is_in(_: None) -> None:
        assert pool.get("VM", ref)["other_config"] == {"theirs": "t", "xo_warmig:door": "m-1/2/r"}

    def is_out(_: None) -> None:
        assert pool.get("VM", ref)["other_config"] == {"theirs": "t"}
        assert [record["other_config"] for record in pool.records["VDI"].values()] == [{}]

    await sweep(pool, enter, is_in, at_least=8)
    await sweep(pool, leave, is_out, at_least=12)
