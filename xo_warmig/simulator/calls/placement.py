"""Which hosts can run a VM, and why one cannot: enabled, live, storage, networks, memory, processors.

After ocaml/xapi/xapi_vm_helpers.ml (assert_can_boot_here, choose_host_for_vm), in its order of checks.
"""

from typing import TYPE_CHECKING

from xo_warmig.simulator.calls.cpu import assert_compatible
from xo_warmig.simulator.calls.reach import is_live
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database, Row

_OVERHEAD_BYTES = 9 << 20  # of an HVM guest, besides what grows with its memory


def overhead_bytes(vm: "Row") -> int:
    """What the hypervisor needs for a VM beside its memory: a fixed part, and shadow pages by memory and processors."""
    mebibytes = vm["memory_static_max"] >> 20
    return int(_OVERHEAD_BYTES + ((mebibytes // 128 + vm["VCPUs_max"]) << 20))


def free_memory_bytes(db: "Database", host: str, *, squeezed: bool = False) -> int:
    """What a host has left for VMs; ``squeezed``: if every VM gave back what it can."""
    row = db.row("host", host)
    if not db.exists("host_metrics", row["metrics"]):
        return 0
    total = db.row("host_metrics", row["metrics"])["memory_total"] - row["memory_overhead"]
    field = "memory_dynamic_min" if squeezed else "memory_dynamic_max"
    here = [vm for vm in db.rows("VM").values() if host in (vm["resident_on"], vm["scheduled_to_be_resident_on"])]
    return int(total - sum(vm[field] + vm["memory_overhead"] for vm in here))


def note_free_memory(db: "Database", host: str) -> None:
    """Put the free memory into the host's metrics."""
    metrics = db.row("host", host)["metrics"] if db.exists("host", host) else ""
    if db.exists("host_metrics", metrics):
        db.set("host_metrics", metrics, memory_free=free_memory_bytes(db, host))


def choose_host(db: "Database", vm: str) -> str:
    """A host for a VM, its affinity first. With one host its own reason when it cannot, else NO_HOSTS_AVAILABLE."""
    hosts = db.refs("host")
    if len(hosts) == 1:
        assert_can_boot(db, vm, hosts[0])
        return hosts[0]
    possible = possible_hosts(db, vm)
    if not possible:
        raise XapiFailure("NO_HOSTS_AVAILABLE")
    affinity = db.row("VM", vm)["affinity"]
    return affinity if affinity in possible else max(possible, key=lambda host: free_memory_bytes(db, host))


def possible_hosts(db: "Database", vm: str) -> list[str]:
    """All hosts on which the VM could start now."""
    return [host for host in db.refs("host") if _reason(db, vm, host) is None]


def assert_can_boot(db: "Database", vm: str, host: str, *, memory: bool = True, cpu: bool = True) -> None:
    """Raises the first thing that speaks against this host."""
    row, target = db.row("VM", vm), db.row("host", host)
    _assert_platform(vm, row, host, target)
    if not target["enabled"]:
        raise XapiFailure("HOST_DISABLED", host)
    if not is_live(db, host):
        raise XapiFailure("HOST_NOT_LIVE")
    _assert_reaches_storage(db, vm, row, host)
    _assert_reaches_networks(db, vm, row, host)
    if cpu and row["power_state"] != "Halted":
        assert_compatible(vm, row, host, target["cpu_info"])
    in_hvm = row["domain_type"] in ("hvm", "pvh", "pv_in_pvh")
    if in_hvm and target["capabilities"] and not any("hvm" in c for c in target["capabilities"]):
        raise XapiFailure("VM_HVM_REQUIRED", vm)
    if memory:
        _assert_memory(db, row, host)
    cpus = int(target["cpu_info"].get("cpu_count", "0"))
    if cpus and row["VCPUs_max"] > cpus:
        raise XapiFailure("HOST_NOT_ENOUGH_PCPUS", str(row["VCPUs_max"]), str(cpus))


def _reason(db: "Database", vm: str, host: str) -> XapiFailure | None:
    try:
        assert_can_boot(db, vm, host)
    except XapiFailure as failure:
        return failure
    return None


def _assert_platform(vm: str, row: "Row", host: str, target: "Row") -> None:
    versions = target["virtual_hardware_platform_versions"]
    if versions and row["hardware_platform_version"] not in versions:
        known = f"[{'; '.join(str(version) for version in versions)}]"
        needed = str(row["hardware_platform_version"])
        raise XapiFailure("VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION", host, known, vm, needed)


def _assert_reaches_storage(db: "Database", vm: str, row: "Row", host: str) -> None:
    reached = {db.row("PBD", pbd)["SR"] for pbd in db.find("PBD", host=host, currently_attached=True)}
    for vbd in row["VBDs"]:
        vdi = db.row("VBD", vbd)["VDI"]
        if db.exists("VDI", vdi) and db.row("VDI", vdi)["SR"] not in reached:
            raise XapiFailure("VM_REQUIRES_SR", vm, db.row("VDI", vdi)["SR"])


def _assert_reaches_networks(db: "Database", vm: str, row: "Row", host: str) -> None:
    """A network without any PIF is internal to whichever host the VM is on."""
    for vif in row["VIFs"]:
        network = db.row("VIF", vif)["network"]
        if not db.exists("network", network):
            raise XapiFailure("VM_REQUIRES_NETWORK", vm, network)
        pifs = [db.row("PIF", pif) for pif in db.row("network", network)["PIFs"]]
        if pifs and not any(pif["host"] == host for pif in pifs):
            raise XapiFailure("VM_REQUIRES_NETWORK", vm, network)


def _assert_memory(db: "Database", row: "Row", host: str) -> None:
    needed = row["memory_dynamic_min"] + overhead_bytes(row)
    available = free_memory_bytes(db, host, squeezed=True)
    if row["scheduled_to_be_resident_on"] == host:
        available += row["memory_dynamic_min"] + row["memory_overhead"]
    if needed > available:
        raise XapiFailure("HOST_NOT_ENOUGH_FREE_MEMORY", str(needed), str(max(0, available)))
