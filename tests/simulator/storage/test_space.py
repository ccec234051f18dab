"""What disks take of a repository."""

import errno
import threading
from collections.abc import Callable

import pytest

from xo_warmig.simulator.calls import disks
from xo_warmig.simulator.dispatch import Call
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.storage import BLOCK


@pytest.fixture
def pool(new_pool: Callable[..., SimPool]) -> SimPool:
    return new_pool(sr_size_bytes=1 << 30)


@pytest.fixture
def sr(pool: SimPool) -> str:
    return str(pool.db.row("pool", pool.pool_ref)["default_SR"])


def make(pool: SimPool, sr: str, blocks: int) -> str:
    """uuid of a new disk."""
    vdi = disks.create(Call(pool=pool, method="VDI.create", host=pool.master), sr, blocks * BLOCK, type="user")
    return str(pool.db.field("VDI", vdi, "uuid"))


def write(pool: SimPool, uuid: str, blocks: int) -> None:
    with pool.storage.open(uuid, writable=True) as disk:
        for block in range(blocks):
            disk.pwrite(block * BLOCK, b"x")


def test_blocks_count_when_they_are_written(pool: SimPool, sr: str) -> None:
    """An empty disk takes a page."""
    before = pool.space.used_bytes(sr)
    uuid = make(pool, sr, 16)
    assert pool.space.used_bytes(sr) == before + 4096
    write(pool, uuid, 3)
    assert pool.space.used_bytes(sr) == before + 4096 + 3 * (BLOCK + 4096)


def test_the_records_follow_at_a_refresh(pool: SimPool, sr: str) -> None:
    """The SR's; those of the disks at a rescan."""
    uuid = make(pool, sr, 16)
    write(pool, uuid, 3)
    vdi = pool.db.by_uuid("VDI", uuid)
    pool.space.refresh(sr)
    assert pool.db.field("SR", sr, "physical_utilisation") == pool.space.used_bytes(sr)
    assert pool.db.field("VDI", vdi, "physical_utilisation") == 4096
    pool.space.rescan(sr)
    assert pool.db.field("VDI", vdi, "physical_utilisation") == pool.storage.physical_bytes(uuid)
    assert pool.db.field("SR", sr, "virtual_allocation") == 16 * BLOCK


def test_many_disks_are_counted_once_at_their_end(pool: SimPool, sr: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool of 1,000 VMs would otherwise count every disk again with every other one that it makes."""
    looked: list[str] = []
    physical_bytes = pool.storage.physical_bytes

    def look(uuid: str) -> int:
        looked.append(uuid)
        return physical_bytes(uuid)

    before = pool.space.used_bytes(sr)
    monkeypatch.setattr(pool.storage, "physical_bytes", look)
    with pool.space.counted_at_the_end():
        made = [make(pool, sr, 16) for _ in range(20)]
    assert max(looked.count(uuid) for uuid in made) <= 5
    assert pool.db.field("SR", sr, "physical_utilisation") == pool.space.used_bytes(sr) == before + 20 * 4096
    assert pool.db.field("SR", sr, "virtual_allocation") == 20 * 16 * BLOCK
    another = make(pool, sr, 16)
    assert looked.count(another) > 0, "counted at once again"


def test_a_volume_group_takes_no_more_than_it_has_room_for(new_pool: Callable[..., SimPool]) -> None:
    """Disks that are counted at their end are refused there, where each of them alone would have had room."""
    pool = new_pool(sr_size_bytes=64 << 20, sr_type="lvm")
    sr = str(pool.db.row("pool", pool.pool_ref)["default_SR"])
    with pool.space.counted_at_the_end():
        make(pool, sr, 12)
    with pytest.raises(XapiFailure, match="SR_BACKEND_FAILURE_44"), pool.space.counted_at_the_end():
        _ = [make(pool, sr, 12) for _ in range(3)]


def test_a_full_repository_refuses_blocks(pool: SimPool, sr: str) -> None:
    """With ENOSPC, and what else takes room counts too."""
    uuid = make(pool, sr, 16)
    pool.space.fill(sr, pool.space.free_bytes(sr) - 2 * BLOCK - 2 * 4096)
    with pytest.raises(OSError, match="No space") as caught:
        write(pool, uuid, 3)
    assert caught.value.errno == errno.ENOSPC
    assert pool.storage.allocated_blocks(uuid) == [0, 1]
    with pytest.raises(XapiFailure, match="SR_BACKEND_FAILURE_44"):
        pool.space.require(sr, BLOCK)


def test_removed_disks_give_their_room_back(pool: SimPool, sr: str) -> None:
    """At the refresh that follows."""
    before = pool.space.used_bytes(sr)
    uuid = make(pool, sr, 16)
    write(pool, uuid, 3)
    disks.destroy(Call(pool=pool, method="VDI.destroy", host=pool.master), pool.db.by_uuid("VDI", uuid))
    assert pool.space.used_bytes(sr) == before


def test_snapshots_and_counting_do_not_wait_for_each_other(pool: SimPool, sr: str) -> None:
    """A snapshot holds the records when it counts, and counting reads the records."""
    uuid = make(pool, sr, 16)
    write(pool, uuid, 1)
    vdi = pool.db.by_uuid("VDI", uuid)
    over = threading.Event()

    def count() -> None:
        while not over.is_set():
            pool.space.refresh(sr)

    def snapshot() -> None:
        for _ in range(12):
            taken = disks.snapshot(Call(pool=pool, method="VDI.snapshot", host=pool.master), vdi)
            disks.destroy(Call(pool=pool, method="VDI.destroy", host=pool.master), taken)

    counting = [threading.Thread(target=count, daemon=True) for _ in range(3)]
    snapshotting = threading.Thread(target=snapshot, daemon=True)
    for thread in (*counting, snapshotting):
        thread.start()
    snapshotting.join(20)
    stuck = snapshotting.is_alive()
    over.set()
    assert not stuck
