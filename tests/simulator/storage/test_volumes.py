"""What disks take of a volume group, and what a raw one holds."""

from collections.abc import Callable

import pytest

from xo_warmig.simulator.calls import disks
from xo_warmig.simulator.dispatch import Call
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.storage import BLOCK
from xo_warmig.simulator.storage.space import volume_bytes

SIZE = 64 * BLOCK


def call_of(pool: SimPool) -> Call:
    return Call(pool=pool, method="VDI.create", host=pool.master)


def make(pool: SimPool) -> str:
    """Reference of a new disk on the default repository."""
    sr = str(pool.db.row("pool", pool.pool_ref)["default_SR"])
    return disks.create(call_of(pool), sr, SIZE, type="user")


def used(pool: SimPool) -> int:
    return pool.space.used_bytes(str(pool.db.row("pool", pool.pool_ref)["default_SR"]))


def test_a_disk_has_all_of_its_room_from_the_start(new_pool: Callable[..., SimPool]) -> None:
    """And writing it takes no more."""
    pool = new_pool(sr_type="lvm", sr_size_bytes=1 << 30)
    uuid = pool.db.field("VDI", make(pool), "uuid")
    assert used(pool) == volume_bytes(SIZE) > SIZE
    with pool.storage.open(uuid, writable=True) as disk:
        disk.pwrite(0, b"x" * BLOCK)
    assert used(pool) == volume_bytes(SIZE)


def test_a_snapshot_takes_next_to_nothing_but_what_is_stored(new_pool: Callable[..., SimPool]) -> None:
    """The hidden parent shrinks to what it stores, the disk is whole again, the snapshot is two extents."""
    pool = new_pool(sr_type="lvmoiscsi", sr_size_bytes=1 << 30)
    vdi = make(pool)
    with pool.storage.open(pool.db.field("VDI", vdi, "uuid"), writable=True) as disk:
        disk.pwrite(0, b"x" * BLOCK)
    snapshot = disks.snapshot(call_of(pool), vdi)
    assert pool.db.field("VDI", snapshot, "physical_utilisation") == 8 << 20
    assert used(pool) == volume_bytes(SIZE) + (8 << 20) + (4 << 20)


def test_no_snapshot_without_room_for_the_whole_disk(new_pool: Callable[..., SimPool]) -> None:
    """The new leaf may have to take all of it."""
    pool = new_pool(sr_type="lvm", sr_size_bytes=volume_bytes(SIZE) * 3 // 2)
    vdi = make(pool)
    with pytest.raises(XapiFailure, match="SR_BACKEND_FAILURE_44"):
        disks.snapshot(call_of(pool), vdi)
    with pytest.raises(XapiFailure, match="SR_BACKEND_FAILURE_44"):
        make(pool)


def test_a_raw_volume_holds_what_was_there_before(new_pool: Callable[..., SimPool]) -> None:
    """Of a group that was never upgraded; it has no snapshots."""
    pool = new_pool(sr_type="lvm", lvm_vhd=False)
    vdi = make(pool)
    with pool.storage.open(pool.db.field("VDI", vdi, "uuid")) as disk:
        assert disk.pread(SIZE - 8, 8) == b"old data"
    with pytest.raises(XapiFailure, match="SR_OPERATION_NOT_SUPPORTED"):
        disks.snapshot(call_of(pool), vdi)
