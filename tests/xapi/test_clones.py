"""Clones of target disks that an old writer does not let go of."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.errors import SafetyError
from xo_warmig.model.vm import Disk
from xo_warmig.xapi import labels
from xo_warmig.xapi.clones import clone_disk

LABEL = "xo_warmig:snapshot"


class Killed(BaseException):
    """The process ends here."""


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
        vdi_other_config={"kept": "k", "xo_warmig:snapshot": "x"},
    )


@pytest.fixture
def origin(pool: Any, copies: None, make_vdi: Callable[..., str]) -> str:
    """A target disk of migration m-1; its reference."""
    ref = make_vdi()
    tags = {"xo_warmig:migration": "m-1", "xo_warmig:role": "disk:vdi-1", "xo_warmig:epoch": "1"}
    pool.get("VDI", ref)["other_config"] = {"kept": "k", **tags, "xo_warmig:self": pool.get("VDI", ref)["uuid"]}
    return ref


def uuid_of(pool: Any, ref: str) -> str:
    return str(pool.get("VDI", ref)["uuid"])


async def clone(pool: Any, origin: str, disk: Disk) -> str:
    return await clone_disk(pool, uuid_of(pool, origin), disk, migration="m-1", epoch=2)


async def test_a_clone_gets_tags_of_its_own(pool: Any, origin: str, disk: Disk) -> None:
    """It starts with those of its origin, which keeps them; once is enough."""
    before = dict(pool.get("VDI", origin)["other_config"])
    made = await clone(pool, origin, disk)
    assert await clone(pool, origin, disk) == made
    assert pool.get("VDI", pool._by_uuid("VDI", made))["other_config"] == {
        "kept": "k",
        "xo_warmig:migration": "m-1",
        "xo_warmig:role": f"disk:vdi-1/{uuid_of(pool, origin)}",
        "xo_warmig:epoch": "2",
        "xo_warmig:self": made,
    }
    assert pool.get("VDI", origin)["other_config"] == before
    assert len(pool.records["VDI"]) == 2


async def test_a_clone_made_just_before_a_crash_is_claimed(pool: Any, origin: str, disk: Disk) -> None:
    """By the label that it copied."""

    def killed(*_: Any) -> None:
        raise Killed

    pool.handlers["VDI.set_other_config"] = killed
    with pytest.raises(Killed):
        await clone(pool, origin, disk)
    del pool.handlers["VDI.set_other_config"]
    (left,) = set(pool.records["VDI"]) - {origin}
    assert await clone(pool, origin, disk) == uuid_of(pool, left)
    assert LABEL not in pool.get("VDI", origin)["other_config"]
    assert len(pool.records["VDI"]) == 2


@pytest.mark.parametrize("what", ["used", "elsewhere", "two"])
async def test_a_disk_of_a_user_is_not_taken_for_the_clone(
    pool: Any,
    origin: str,
    disk: Disk,
    what: str,
    make_vm: Callable[..., str],
    make_vbd: Callable[..., str],
) -> None:
    """One that a VM has, one that was copied to another SR, one of two (R8)."""
    await labels.put_label(pool, origin, {}, f"disk:vdi-1/{uuid_of(pool, origin)}")
    theirs = {pool.handlers["VDI.clone"](origin, {}) for _ in range(2 if what == "two" else 1)}
    for ref in theirs:
        if what == "used":
            make_vbd(make_vm(), ref)
        if what == "elsewhere":
            pool.get("VDI", ref)["SR"] = "OpaqueRef:other"
    made = await clone(pool, origin, disk)
    assert pool._by_uuid("VDI", made) not in theirs | {origin}


async def test_a_disk_that_is_not_this_migration_s_is_not_cloned(pool: Any, origin: str, disk: Disk) -> None:
    """Nothing is written on it (R8)."""
    pool.get("VDI", origin)["other_config"]["xo_warmig:migration"] = "m-2"
    with pytest.raises(SafetyError) as caught:
        await clone(pool, origin, disk)
    assert caught.value.code == "NOT_OURS"
    assert LABEL not in pool.get("VDI", origin)["other_config"]
