"""A pool that is gone on with after its toolstack was killed."""

from collections.abc import Callable

from xo_warmig.simulator.assembly import close_pool
from xo_warmig.simulator.calls import guest_tools
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.site import DiskConfig, VmConfig


def test_tools_that_had_nobody_to_report_to_report_after_the_restart(new_pool: Callable[..., SimPool]) -> None:
    """Killed between a VM's start and the report of its tools, a pool would wait for them for ever."""
    vms = [
        VmConfig(name_label="with tools", disks=[DiskConfig(size_bytes=1 << 20)]),
        VmConfig(name_label="without", disks=[], tools=False),
    ]
    pool = new_pool(vms=vms)
    (with_tools,) = pool.db.find("VM", name_label="with tools")
    guest_tools.clear(pool.db, with_tools)
    close_pool(pool)

    again = new_pool(vms=vms)
    told = {
        name: again.db.exists(
            "VM_guest_metrics", again.db.row("VM", again.db.find("VM", name_label=name)[0])["guest_metrics"]
        )
        for name in ("with tools", "without")
    }
    assert told == {"with tools": True, "without": False}
