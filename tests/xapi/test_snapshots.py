"""Snapshots of disks, found again by tag, and by the label that they copied when a crash left them without."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.errors import PoolError
from xo_warmig.xapi import labels
from xo_warmig.xapi.snapshots import snapshot_disk

LABEL = "xo_warmig:snapshot"
TAG = "m-1/1"


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def ref(copies: None, make_vdi: Callable[..., str]) -> str:
    """A disk; its reference."""
    return make_vdi(other_config={"theirs": "t"})


@pytest.fixture
def vdi(pool: Any, ref: str) -> str:
    """Its uuid."""
    return str(pool.get("VDI", ref)["uuid"])


async def take(pool: Any, vdi: str, tag: str = TAG) -> str:
    return await snapshot_disk(pool, vdi, tag=tag, epoch=1)


async def crash(pool: Any, vdi: str) -> str:
    """Take a snapshot, and be killed before it is tagged; its uuid."""
    before = set(pool.records["VDI"])

    def killed(*_: Any) -> None:
        raise Killed

    pool.handlers["VDI.set_other_config"] = killed
    with pytest.raises(Killed):
        await take(pool, vdi)
    del pool.handlers["VDI.set_other_config"]
    (made,) = set(pool.records["VDI"]) - before
    return str(pool.get("VDI", made)["uuid"])


async def test_a_snapshot_carries_its_own_uuid(pool: Any, vdi: str, ref: str) -> None:
    """So that copies of its tags can be told from it (R11); on the disk nothing stays."""
    uuid = await take(pool, vdi)
    record = pool.get("VDI", pool._by_uuid("VDI", uuid))
    assert record["other_config"] == {
        "theirs": "t",
        "xo_warmig:migration": "m-1",
        "xo_warmig:role": "base",
        "xo_warmig:epoch": "1",
        "xo_warmig:tag": TAG,
        "xo_warmig:self": uuid,
    }
    assert pool.get("VDI", ref)["other_config"] == {"theirs": "t"}


async def test_the_same_tag_is_the_same_snapshot(pool: Any, vdi: str) -> None:
    """Another tag is another."""
    first = await take(pool, vdi)
    assert await take(pool, vdi) == first
    assert await take(pool, vdi, "m-1/2") != first
    assert await take(pool, vdi, "m-1") != first


async def test_a_copied_tag_does_not_count(pool: Any, vdi: str, ref: str, make_vdi: Callable[..., str]) -> None:
    """A snapshot of somebody else that inherited it."""
    tags = {"xo_warmig:tag": TAG, "xo_warmig:self": "another"}
    copy = make_vdi(is_a_snapshot=True, other_config=tags)
    pool.get("VDI", ref)["snapshots"].append(copy)
    assert await take(pool, vdi) != pool.get("VDI", copy)["uuid"]


async def test_a_snapshot_that_cannot_be_tagged_is_destroyed(pool: Any, vdi: str) -> None:
    """While it is known to be ours."""

    def refuse(*_: Any) -> None:
        raise pool.failure("INTERNAL_ERROR", "no")

    pool.handlers["VDI.set_other_config"] = refuse
    with pytest.raises(PoolError, match="INTERNAL_ERROR"):
        await take(pool, vdi)
    assert [record["uuid"] for record in pool.records["VDI"].values()] == [vdi]


async def test_a_snapshot_whose_label_stays_on_the_disk_is_destroyed(pool: Any, vdi: str) -> None:
    """A refusal says that nothing was made."""
    before = set(pool.records["VDI"])

    def refuse(*_: Any) -> None:
        raise PoolError("no", code="OPERATION_NOT_ALLOWED", evidence={})

    pool.handlers["VDI.remove_from_other_config"] = refuse
    with pytest.raises(PoolError):
        await take(pool, vdi)
    assert set(pool.records["VDI"]) == before


async def test_a_snapshot_made_just_before_a_crash_is_claimed(pool: Any, vdi: str, ref: str) -> None:
    """By the label that it copied from the disk; nothing is made a second time, and no label stays."""
    made = await crash(pool, vdi)
    assert pool.get("VDI", ref)["other_config"][LABEL].startswith(f"{TAG}/")
    assert await take(pool, vdi) == made
    assert LABEL not in pool.get("VDI", ref)["other_config"]
    assert pool.get("VDI", pool._by_uuid("VDI", made))["other_config"]["xo_warmig:self"] == made
    assert len(pool.records["VDI"]) == 2


async def test_a_crash_before_the_label_is_taken_away_leaves_none(pool: Any, vdi: str, ref: str) -> None:
    """The second try does."""
    made = await take(pool, vdi)
    await labels.put_label(pool, ref, {}, TAG)
    assert await take(pool, vdi) == made
    assert LABEL not in pool.get("VDI", ref)["other_config"]


async def test_a_label_of_an_earlier_pass_gives_way(pool: Any, vdi: str, ref: str) -> None:
    """And what carries it is not taken for another pass's."""
    made = await crash(pool, vdi)
    assert await take(pool, vdi, "m-1/2") != made
    assert LABEL not in pool.get("VDI", ref)["other_config"]


async def test_of_two_that_carry_the_label_none_is_touched(pool: Any, vdi: str, ref: str) -> None:
    """One is a user's, who took it while the label stood there."""
    made = await crash(pool, vdi)
    theirs = pool.get("VDI", pool.handlers["VDI.snapshot"](ref))
    ours = pool.get("VDI", pool._by_uuid("VDI", made))
    before = [dict(ours["other_config"]), dict(theirs["other_config"])]
    assert await take(pool, vdi) not in (made, theirs["uuid"])
    assert [ours["other_config"], theirs["other_config"]] == before


async def test_a_snapshot_of_the_whole_vm_is_not_taken(
    pool: Any, vdi: str, ref: str, make_vm: Callable[..., str], make_vbd: Callable[..., str]
) -> None:
    """A user took it after our process was killed and before its own call was made: it has a VBD (R8)."""
    await labels.put_label(pool, ref, {}, TAG)
    theirs = pool.handlers["VDI.snapshot"](ref)
    make_vbd(make_vm(is_a_snapshot=True), theirs)
    assert await take(pool, vdi) != pool.get("VDI", theirs)["uuid"]


async def test_a_snapshot_of_much_later_is_not_taken(pool: Any, vdi: str, ref: str) -> None:
    """Ours would have been made soon after its label."""
    await labels.put_label(pool, ref, {}, TAG)
    pool.now = "20261126T00:16:00Z"
    theirs = pool.handlers["VDI.snapshot"](ref)
    assert await take(pool, vdi) != pool.get("VDI", theirs)["uuid"]


async def test_one_that_was_claimed_is_not_claimed_again(pool: Any, vdi: str, ref: str) -> None:
    """Whatever label it still carries."""
    await labels.put_label(pool, ref, {}, TAG)
    other = pool.get("VDI", pool.handlers["VDI.snapshot"](ref))
    other["other_config"]["xo_warmig:self"] = other["uuid"]
    assert await take(pool, vdi) != other["uuid"]


@pytest.mark.parametrize("who", ["VDI", "VM"])
async def test_what_copies_the_disk_now_is_waited_for(
    pool: Any, vdi: str, ref: str, who: str, make_vm: Callable[..., str], make_vbd: Callable[..., str]
) -> None:
    """Our own call of before the crash; or a user's snapshot of the VM, whose disks have no VBD before all of them are there."""
    vm = make_vm()
    make_vbd(vm, ref)
    await labels.put_label(pool, ref, {}, TAG)
    theirs = pool.handlers["VDI.snapshot"](ref)
    busy = pool.get("VM", vm) if who == "VM" else pool.get("VDI", ref)
    busy["current_operations"] = {"OpaqueRef:task": "snapshot"}
    call = pool.call

    async def ends_when_looked_at(method: str, *arguments: Any) -> Any:
        answer = await call(method, *arguments)
        if (method, arguments) == (f"{who}.get_record", (vm if who == "VM" else ref,)) and busy["current_operations"]:
            busy["current_operations"] = {}
            make_vbd(make_vm(is_a_snapshot=True), theirs)
        return answer

    pool.call = ends_when_looked_at
    assert await take(pool, vdi) != pool.get("VDI", theirs)["uuid"]
    assert len(pool.get("VDI", ref)["snapshots"]) == 2


@pytest.mark.parametrize("text", ["", "m-1/1", "m-1/1/r/yesterday", "x"])
def test_a_label_that_cannot_be_read_is_none(text: str) -> None:
    """Somebody else wrote there."""
    assert labels.label_of({LABEL: text}) is None


def test_times_are_read_in_every_form() -> None:
    """With and without hyphens and the zone."""
    forms = ("20261126T00:00:05Z", "2026-11-26T00:00:05Z", "20261126T00:00:05")
    assert {labels.seconds_of(text) for text in forms} == {1795651205.0}
