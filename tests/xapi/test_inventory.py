"""Which objects of a pool are ours."""

from collections.abc import Callable
from typing import Any

from xo_warmig.xapi.inventory import our_objects
from xo_warmig.xapi.records import Origin

ORIGIN = Origin("pool-uuid", "lab", (2, 21))


async def test_only_what_carries_its_own_uuid_is_ours(
    pool: Any, make_vm: Callable[..., str], make_vdi: Callable[..., str]
) -> None:
    """VMs, disks, snapshots and tasks of any migration; copies of our tags and everybody's own objects are not (R11)."""

    def tag(cls: str, ref: str, role: str) -> str:
        record = pool.get(cls, ref)
        record["other_config"] = {
            "xo_warmig:migration": "m-1",
            "xo_warmig:role": role,
            "xo_warmig:self": record["uuid"],
        }
        return str(record["uuid"])

    vm = tag("VM", make_vm(), "target")
    disk = tag("VDI", make_vdi(), "disk:1")
    snapshot = tag("VDI", make_vdi(is_a_snapshot=True), "base")
    task = tag("task", pool.add("task", name_label="Warm migration of web"), "progress")
    pool.add("task", name_label="Async.VM.start")
    for cls, copy in (("VM", make_vm()), ("VDI", make_vdi()), ("VDI", make_vdi(is_a_snapshot=True))):
        tag(cls, copy, "target")
        pool.get(cls, copy)["other_config"]["xo_warmig:self"] = vm
    make_vm(other_config={"xo_warmig:door": "m-1/1/r"})
    make_vdi(other_config={"xo_warmig:snapshot": "m-1/1/r/20261126T00:00:00Z"})
    found = await our_objects(pool, ORIGIN)
    assert [(each.kind, each.uuid, each.role, each.migration, each.size_bytes) for each in found] == [
        ("vm", vm, "target", "m-1", None),
        ("vdi", disk, "disk:1", "m-1", 4096),
        ("snapshot", snapshot, "base", "m-1", 4096),
        ("task", task, "progress", "m-1", None),
    ]
    assert {(each.pool, each.pool_name) for each in found} == {("pool-uuid", "lab")}
