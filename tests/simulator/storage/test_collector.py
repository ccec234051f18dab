"""Garbage collection and the records that follow it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from xo_warmig.simulator.calls import disks
from xo_warmig.simulator.dispatch import Call
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.storage import BLOCK


@pytest.fixture
def pool(new_pool: Callable[..., SimPool]) -> SimPool:
    return new_pool(gc_delay_seconds=0.01)


@pytest.fixture
def call(pool: SimPool) -> Call:
    return Call(pool=pool, method="test", host=pool.master, task="OpaqueRef:task")


@pytest.fixture
def vdi(pool: SimPool, call: Call) -> str:
    """A disk that has been written to."""
    vdi = disks.create(call, pool.db.row("pool", pool.pool_ref)["default_SR"], 4 * BLOCK, type="user")
    with pool.storage.open(pool.db.field("VDI", vdi, "uuid"), writable=True) as disk:
        disk.pwrite(0, b"data")
    return vdi


def base_copies(pool: SimPool) -> list[str]:
    return [ref for ref, row in pool.db.rows("VDI").items() if not row["managed"]]


def test_a_while_after_a_destroy_the_base_copy_is_gone(pool: SimPool, call: Call, vdi: str) -> None:
    """And the disk hangs on nothing."""
    disks.destroy(call, disks.snapshot(call, vdi))
    end = time.monotonic() + 10
    while base_copies(pool):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert pool.db.row("VDI", vdi)["sm_config"] == {}
    with pool.storage.open(pool.db.field("VDI", vdi, "uuid")) as disk:
        assert disk.pread(0, 4) == b"data"


def test_children_of_a_merged_image_say_where_they_hang(pool: SimPool, call: Call, vdi: str) -> None:
    """``vhd-parent`` is that of the images."""
    first = disks.snapshot(call, vdi)
    with pool.storage.open(pool.db.field("VDI", vdi, "uuid"), writable=True) as disk:
        disk.pwrite(BLOCK, b"more")
    second = disks.snapshot(call, vdi)
    assert len(base_copies(pool)) == 2
    disks.destroy(call, first)
    pool.collector.collect()
    (base,) = base_copies(pool)
    for ref in (vdi, second):
        assert pool.db.row("VDI", ref)["sm_config"]["vhd-parent"] == pool.db.field("VDI", base, "uuid")


def test_collections_asked_for_at_once_take_turns(
    pool: SimPool, call: Call, vdi: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else both would merge the same image."""
    plain, merging, most = pool.storage.coalesce_once, [0], [0]

    def coalesce_once(*arguments: Any) -> Any:
        merging[0] += 1
        most[0] = max(most[0], merging[0])
        time.sleep(0.01)
        try:
            return plain(*arguments)
        finally:
            merging[0] -= 1

    monkeypatch.setattr(pool.storage, "coalesce_once", coalesce_once)
    for _ in range(3):
        disks.destroy(call, disks.snapshot(call, vdi))
    with ThreadPoolExecutor(4) as threads:
        for each in [threads.submit(pool.collector.collect) for _ in range(4)]:
            each.result()
    assert most == [1]
    assert base_copies(pool) == []


@pytest.mark.parametrize("key", ["gc", "coalesce"])
def test_an_sr_can_forbid_it(pool: SimPool, call: Call, vdi: str, key: str) -> None:
    """By its other_config."""
    sr = pool.db.field("VDI", vdi, "SR")
    pool.db.set("SR", sr, other_config={key: "false"})
    disks.destroy(call, disks.snapshot(call, vdi))
    assert pool.collector.collect() == []
    assert len(base_copies(pool)) == 1
