"""Snapshots of disks, found again by tag."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.errors import PoolError
from xo_warmig.xapi.snapshots import snapshot_disk


@pytest.fixture
def vdi(pool: Any, make_vdi: Callable[..., str]) -> str:
    """A disk whose pool takes snapshots as XAPI does; its uuid."""
    ref = make_vdi(other_config={"theirs": "t"})

    def snapshot(of: str, _: dict[str, str]) -> str:
        copied = pool.get("VDI", of)
        made = make_vdi(is_a_snapshot=True, snapshot_of=of, other_config=dict(copied["other_config"]))
        copied["snapshots"].append(made)
        return made

    pool.handlers["VDI.snapshot"] = snapshot
    return str(pool.get("VDI", ref)["uuid"])


async def test_a_snapshot_carries_its_own_uuid(pool: Any, vdi: str) -> None:
    """So that copies of its tags can be told from it (R11)."""
    uuid = await snapshot_disk(pool, vdi, tag="m-1/1")
    record = pool.get("VDI", pool._by_uuid("VDI", uuid))
    assert record["other_config"] == {
        "theirs": "t",
        "xo_warmig:migration": "m-1",
        "xo_warmig:role": "base",
        "xo_warmig:tag": "m-1/1",
        "xo_warmig:self": uuid,
    }


async def test_the_same_tag_is_the_same_snapshot(pool: Any, vdi: str) -> None:
    """Another tag is another."""
    first = await snapshot_disk(pool, vdi, tag="m-1/1")
    assert await snapshot_disk(pool, vdi, tag="m-1/1") == first
    assert await snapshot_disk(pool, vdi, tag="m-1/2") != first


async def test_a_copied_tag_does_not_count(pool: Any, vdi: str, make_vdi: Callable[..., str]) -> None:
    """A snapshot of somebody else that inherited it."""
    tags = {"xo_warmig:tag": "m-1/1", "xo_warmig:self": "another"}
    copy = make_vdi(is_a_snapshot=True, other_config=tags)
    pool.get("VDI", pool._by_uuid("VDI", vdi))["snapshots"].append(copy)
    assert await snapshot_disk(pool, vdi, tag="m-1/1") != pool.get("VDI", copy)["uuid"]


async def test_a_snapshot_that_cannot_be_tagged_is_destroyed(pool: Any, vdi: str) -> None:
    """Nobody could tell it from a user's later, so it would stay for ever."""

    def refuse(*_: Any) -> None:
        raise pool.failure("INTERNAL_ERROR", "no")

    def destroy(ref: str) -> None:
        del pool.records["VDI"][ref]

    pool.handlers |= {"VDI.set_other_config": refuse, "VDI.destroy": destroy}
    with pytest.raises(PoolError, match="INTERNAL_ERROR"):
        await snapshot_disk(pool, vdi, tag="m-1/1")
    assert [record["uuid"] for record in pool.records["VDI"].values()] == [vdi]
