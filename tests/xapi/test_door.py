"""The door key of a source, and the note on one that is kept."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.errors import ForbiddenOperation, NoSuchObject
from xo_warmig.replication import preflight
from xo_warmig.xapi.door import claim_door, note_moved, release_door

DOOR, MOVED, LABEL = "xo_warmig:door", "xo_warmig:moved", "xo_warmig:snapshot"


@pytest.fixture
def ref(make_vm: Callable[..., str]) -> str:
    return make_vm(other_config={"theirs": "t"})


@pytest.fixture
def vm(pool: Any, ref: str) -> str:
    return str(pool.get("VM", ref)["uuid"])


def keys(pool: Any, ref: str) -> dict[str, str]:
    found: dict[str, str] = pool.get("VM", ref)["other_config"]
    return found


async def test_a_key_is_put_once_and_taken_away(pool: Any, vm: str, ref: str) -> None:
    """Twice is as good as once, each time; nothing else changes."""
    for _ in range(2):
        await claim_door(pool, vm, "m-1/1/r", migration="m-1")
    assert keys(pool, ref) == {"theirs": "t", DOOR: "m-1/1/r"}
    for _ in range(2):
        await release_door(pool, vm, migration="m-1")
    assert keys(pool, ref) == {"theirs": "t"}
    assert len(pool.calls("VM.add_to_other_config")) == 1


async def test_a_key_of_an_earlier_epoch_gives_way(pool: Any, vm: str, ref: str) -> None:
    """One of a later epoch does not: that process has taken over from this one (R16)."""
    await claim_door(pool, vm, "m-1/9/r", migration="m-1")
    await claim_door(pool, vm, "m-1/10/s", migration="m-1")
    assert keys(pool, ref)[DOOR] == "m-1/10/s"
    with pytest.raises(ForbiddenOperation):
        await claim_door(pool, vm, "m-1/9/r", migration="m-1")
    assert keys(pool, ref)[DOOR] == "m-1/10/s"


async def test_the_key_of_another_migration_stays(pool: Any, vm: str, ref: str) -> None:
    """The error says whose it is, and what a person can do."""
    await claim_door(pool, vm, "m-10/1/r", migration="m-10")
    with pytest.raises(ForbiddenOperation) as caught:
        await claim_door(pool, vm, "m-1/1/r", migration="m-1")
    assert caught.value.code == "SOURCE_CLAIMED"
    assert (caught.value.evidence["key"], caught.value.evidence["objectId"]) == ("m-10/1/r", vm)
    assert {"operation", "reason"} <= caught.value.evidence.keys()
    assert DOOR in caught.value.remedy
    await release_door(pool, vm, migration="m-1")
    assert keys(pool, ref)[DOOR] == "m-10/1/r"


async def test_of_two_that_come_at_once_one_gets_in(pool: Any, vm: str, ref: str) -> None:
    """The other comes between our look and our key."""

    def too_late(self_ref: str, key: str, text: str) -> Any:
        keys(pool, ref)[DOOR] = "m-2/1/r"
        return pool._field("VM", "add_to_other_config", (self_ref, key, text))

    pool.handlers["VM.add_to_other_config"] = too_late
    with pytest.raises(ForbiddenOperation) as caught:
        await claim_door(pool, vm, "m-1/1/r", migration="m-1")
    assert caught.value.evidence["key"] == "m-2/1/r"
    assert keys(pool, ref)[DOOR] == "m-2/1/r"


async def test_a_key_that_does_not_hold_is_an_error(pool: Any, vm: str) -> None:
    """It is read back."""
    pool.handlers["VM.add_to_other_config"] = lambda *_: ""
    with pytest.raises(ForbiddenOperation):
        await claim_door(pool, vm, "m-1/1/r", migration="m-1")


async def test_labels_of_ours_go_with_the_key(
    pool: Any, vm: str, ref: str, make_vdi: Callable[..., str], make_vbd: Callable[..., str]
) -> None:
    """From the VM's disks, and those of this migration only; a drive without a disk is passed over."""
    ours = make_vdi(other_config={"theirs": "t", LABEL: "m-1/3/r/20261126T00:00:00Z"})
    other = make_vdi(other_config={LABEL: "m-2/3/r/20261126T00:00:00Z"})
    for vdi in (ours, other):
        make_vbd(ref, vdi)
    make_vbd(ref, "OpaqueRef:NULL", type="CD")
    make_vbd(ref, "OpaqueRef:destroyed")
    await release_door(pool, vm, migration="m-1")
    assert pool.get("VDI", ours)["other_config"] == {"theirs": "t"}
    assert LABEL in pool.get("VDI", other)["other_config"]


async def test_a_vm_that_is_gone_has_no_door(pool: Any) -> None:
    """Releasing is done, claiming is not possible."""
    await release_door(pool, "nowhere", migration="m-1")
    with pytest.raises(NoSuchObject):
        await claim_door(pool, "nowhere", "m-1/1/r", migration="m-1")


async def test_a_note_is_written_changed_and_removed(pool: Any, vm: str, ref: str) -> None:
    """The same note again asks for no change."""
    for text in ("to pool b", "to pool b", "to pool c", "", ""):
        await note_moved(pool, vm, text)
        assert keys(pool, ref).get(MOVED, "") == text
    assert keys(pool, ref) == {"theirs": "t"}
    assert len(pool.calls("VM.add_to_other_config")) == 2


def test_the_key_has_one_name() -> None:
    """The layers forbid that pools and preflight import it from each other."""
    assert preflight.DOOR == DOOR
