"""What is planted in the records of two pools so that a plan finds it: VMs with an obstacle or two, and how each comes about."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tests.pools import XapiSession, control
from xo_warmig.model.units import GIB, KIB, MIB, TIB
from xo_warmig.simulator.launch import Pool
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VmConfig

SEED = {"mac_seed": "8ab5b3f0-0000-4000-8000-6d4c8a1e77f2"}
OTHER_SEED = {"mac_seed": "8ab5b3f0-0000-4000-8000-6d4c8a1e77f3"}
NOBODY = "9c0d2f54-0000-4000-8000-000000000000"
SECOND, ON_THE_MEMBER = 1, 2  # positions of SRs: the master's second one, and that of the other host


class Bench:
    """Both pools in the hands of whoever plants something there. Blocks."""

    def __init__(self, source: Pool, target: Pool) -> None:
        self.source, self.target = source, target
        self.here, self.there = XapiSession(source), XapiSession(target)
        self.uuids = {vm.name_label: vm.uuid for vm in source.vms}

    def vm(self, name: str) -> str:
        """Reference of a VM of the source."""
        return str(self.here.call("VM.get_by_uuid", self.uuids[name]))

    def disk(self, name: str) -> str:
        """Reference of its first disk."""
        for vbd in self.here.call("VM.get_VBDs", self.vm(name)):
            if self.here.call("VBD.get_type", vbd) == "Disk":
                return str(self.here.call("VBD.get_VDI", vbd))
        raise LookupError(name)

    def disk_uuid(self, name: str) -> str:
        return str(self.here.call("VDI.get_uuid", self.disk(name)))

    def vif(self, name: str) -> str:
        """Reference of its first interface."""
        return str(self.here.call("VM.get_VIFs", self.vm(name))[0])

    def vif_uuid(self, name: str) -> str:
        return str(self.here.call("VIF.get_uuid", self.vif(name)))

    def has(self, cls: str, uuid: str = "", *, pool: Pool | None = None, **fields: Any) -> str:
        """A record of the source says so; its reference."""
        order = {"class": cls, "fields": fields} | ({"uuid": uuid} if uuid else {})
        return str(control(pool or self.source, "record", **order)["ref"])

    def network(self, pool: Pool, name: str, **fields: Any) -> str:
        """A new network; its uuid."""
        session = self.here if pool is self.source else self.there
        record = {"name_label": name, "name_description": "", "other_config": {}, "MTU": "1500", "tags": []}
        ref = session.call("network.create", record | fields)
        return str(session.call("network.get_uuid", ref))

    def unplug(self, pool: Pool, sr: int, host: int) -> None:
        """An SR from a host, by their positions."""
        session = self.here if pool is self.source else self.there
        ref = session.call("SR.get_by_uuid", pool.srs[sr].uuid)
        where = session.call("host.get_by_uuid", pool.hosts[host].uuid)
        for pbd in session.call("SR.get_PBDs", ref):
            if session.call("PBD.get_host", pbd) == where:
                session.call("PBD.unplug", pbd)


class Plant(NamedTuple):
    """``codes`` that the plan of ``vm`` is to tell of. ``plant`` brings them about; ``asked`` gives what the request has besides."""

    codes: str
    vm: str = "plain"
    plant: Callable[[Bench], Any] = lambda bench: None
    asked: Callable[[Bench], Mapping[str, Any]] = lambda bench: {}


def vm(name: str, *disks: DiskConfig, **fields: Any) -> VmConfig:
    """A VM of little that writes nothing; halted unless told otherwise."""
    common: dict[str, Any] = {"power_state": "Halted", "memory_bytes": 128 * MIB, "guest": GuestConfig(kind="none")}
    return VmConfig(name_label=name, disks=list(disks) or [DiskConfig(size_bytes=8 * MIB)], **(common | fields))


RUNNING = {"power_state": "Running"}
WRITING = GuestConfig(kind="blocks", rate=0)
VMS = [
    vm("plain", **RUNNING),
    vm("toolless", tools=False, **RUNNING),
    vm("busy", **RUNNING),
    vm("chained", guest=WRITING, **RUNNING),
    vm("unmerged", guest=WRITING, **RUNNING),
    vm("suspended", **RUNNING),
    vm("template"),
    vm("claimed", other_config={"xo_warmig:door": "somebody/1/else"}),
    vm("moved", blocked_operations={"start": "xo_warmig migration 1: moved"}),
    vm("kept"),
    vm("disks", *[DiskConfig(size_bytes=4 * MIB, name_label=name) for name in ("sharable", "reset", "missing")]),
    vm("used", DiskConfig(size_bytes=4 * MIB, name_label="shared")),
    vm("user"),
    vm("large", DiskConfig(size_bytes=3 * TIB)),
    vm("wide", DiskConfig(size_bytes=300 * GIB)),
    vm("away", DiskConfig(size_bytes=4 * MIB, sr=ON_THE_MEMBER)),
    vm("both", DiskConfig(size_bytes=4 * MIB, sr=SECOND)),
    vm("full", DiskConfig(size_bytes=64 * MIB, allocated_bytes=32 * MIB)),
    vm("private"),
    vm("locked"),
    vm("seeded", other_config=SEED),
    vm("sown", other_config=OTHER_SEED),
    vm("broad", vcpus=64),
    vm("secure", firmware="uefi", secure_boot=True),
    vm("pv", kind="pv"),
    vm("protected"),
    vm("tied"),
]


def share(bench: Bench) -> None:
    """Another VM has a VBD on the disk."""
    fields = {"VM": bench.vm("user"), "VDI": bench.disk("used"), "userdevice": "2", "bootable": False, "mode": "RW"}
    more = {"type": "Disk", "empty": False, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}}
    bench.here.call("VBD.create", fields | more)


def spoil_disks(bench: Bench) -> None:
    state = {vdi["name_label"]: vdi["uuid"] for vdi in control(bench.source, "state")["vdis"]}
    bench.has("VDI", state["sharable"], sharable=True)
    bench.has("VDI", state["reset"], on_boot="reset")
    bench.has("VDI", state["missing"], missing=True)


def chain(bench: Bench, name: str, count: int, *, keep: bool) -> None:
    """So many snapshots, one after the other; those that are not kept leave images that nobody has merged yet."""
    snapshots = []
    for _ in range(count):  # what is empty leaves no image behind
        control(bench.source, "guest", vm=bench.uuids[name], write=64 * KIB)
        snapshots.append(bench.here.call("VDI.snapshot", bench.disk(name), {}))
    for snapshot in [] if keep else snapshots:
        bench.here.call("VDI.destroy", snapshot)


def tell_formats(bench: Bench) -> None:
    """The target's storage says what it keeps disks as, which is no more than it did."""
    for driver in bench.there.call("SM.get_all_records").values():
        if driver["type"] == "ext":
            bench.has("SM", driver["uuid"], pool=bench.target, supported_image_formats=["vhd"])


def introduce(bench: Bench) -> None:
    """The target's pool attaches the source's second SR, too."""
    given: tuple[Any, ...] = (bench.source.srs[SECOND].uuid, "twice", "", "nfs", "user", True, {})
    sr = bench.there.call("SR.introduce", *given)
    host = bench.there.call("host.get_by_uuid", bench.target.hosts[0].uuid)
    bench.there.call("PBD.plug", bench.there.call("PBD.create", {"host": host, "SR": sr, "device_config": {}}))


def take_private_network(bench: Bench) -> None:
    network = bench.here.call("network.get_by_uuid", bench.network(bench.source, "private"))
    fields = {"device": "1", "network": network, "VM": bench.vm("private"), "MAC": "", "MTU": "1500"}
    bench.here.call("VIF.create", fields | {"other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}})


def protect(bench: Bench) -> None:
    bench.here.call("VM.set_ha_restart_priority", bench.vm("protected"), "restart")


def upgrade_and_protect(bench: Bench) -> None:
    """The target's pool has HA, and a rolling upgrade is under way."""
    (pool,) = bench.there.call("pool.get_all")
    bench.has("pool", bench.there.call("pool.get_uuid", pool), pool=bench.target, ha_enabled=True)
    bench.there.call("pool.add_to_other_config", pool, "rolling_upgrade_in_progress", "true")


def tie(bench: Bench) -> None:
    """A vApp, a VM group, a schedule, a virtual GPU and a USB device."""
    here, ref = bench.here, bench.vm("tied")
    here.call("VM.set_appliance", ref, here.call("VM_appliance.create", {"name_label": "a", "name_description": ""}))
    group = {"name_label": "g", "name_description": "", "placement": "normal"}
    here.call("VM.set_groups", ref, [here.call("VM_group.create", group)])
    uuid = bench.uuids["tied"]
    bench.has("VM", uuid, snapshot_schedule=bench.has("VMSS", name_label="daily"))
    bench.has("VGPU", VM=ref, device="0")
    bench.has("VUSB", VM=ref)


def lock(bench: Bench) -> None:
    bench.here.call("VIF.set_locking_mode", bench.vif("locked"), "disabled")


def onto(position: int) -> Callable[[Bench], Mapping[str, Any]]:
    """To that SR of the target."""
    return lambda bench: {"sr": bench.target.srs[position].uuid}


def mapped(name: str, **network: Any) -> Callable[[Bench], Mapping[str, Any]]:
    """The VM's interface to a new network of the target."""
    return lambda bench: {"mapVifsNetworks": {bench.vif_uuid(name): bench.network(bench.target, "other", **network)}}


def disk_to(sr: Callable[[Bench], str]) -> Callable[[Bench], Mapping[str, Any]]:
    return lambda bench: {"mapVdisSrs": {bench.disk_uuid("plain"): sr(bench)}}


def iso_of(pool: Pool) -> str:
    (found,) = [sr.uuid for sr in pool.srs if sr.name_label == "ISO library"]
    return found


PLANTS = [
    Plant("SAMPLE_OF_EXPORT_HEAD NO_NBD POOL_IN_CLEAR LICENCE_FORBIDS_START"),
    Plant("BAD_CUTOVER", asked=lambda bench: {"cutover": "soon"}),
    Plant("CUTOVER_IN_THE_PAST", asked=lambda bench: {"cutover": "2020-01-31T03:00:00Z"}),
    Plant("DELETE_WITHOUT_START", asked=lambda bench: {"deleteSourceVm": True, "startDestinationVm": False}),
    Plant("UNKNOWN_DISK", asked=lambda bench: {"mapVdisSrs": {NOBODY: bench.target.srs[0].uuid}}),
    Plant("UNKNOWN_VIF", asked=lambda bench: {"mapVifsNetworks": {NOBODY: bench.target.networks[0].uuid}}),
    Plant("NO_SUCH_OBJECT", asked=lambda bench: {"mapVifsNetworks": {bench.vif_uuid("plain"): NOBODY}}),
    Plant("SR_IN_OTHER_POOL", asked=disk_to(lambda bench: bench.source.srs[SECOND].uuid)),
    Plant("SAME_SR", asked=lambda bench: {"sr": bench.source.srs[0].uuid}),
    Plant("SR_NOT_WRITABLE", asked=lambda bench: {"sr": iso_of(bench.target)}),
    Plant("NBD_NOT_SERVED", asked=lambda bench: {"transport": "nbd"}),
    Plant("READ_BACK_IN_DOWNTIME", asked=lambda bench: {"verify": "full"}),
    Plant("DOWNTIME_OVER_BUDGET", asked=lambda bench: {"targetDowntime": 0.001}),
    Plant("NETWORK_WITHOUT_INTERFACE SMALLER_MTU", asked=mapped("plain", MTU="1400")),
    Plant("NO_GUEST_TOOLS", "toolless"),
    Plant("SHUTDOWN_BY_HAND", "toolless", asked=lambda bench: {"shutdown": {"force": "never"}}),
    Plant(
        "OTHER_OPERATION_IN_PROGRESS DISK_BUSY",
        "busy",
        lambda bench: [
            bench.has("VM", bench.uuids["busy"], current_operations={"OpaqueRef:1": "export"}),
            bench.has("VDI", bench.disk_uuid("busy"), current_operations={"OpaqueRef:1": "copy"}),
        ],
    ),
    Plant("CHAIN_TOO_LONG", "chained", lambda bench: chain(bench, "chained", 29, keep=True)),
    Plant("CHAIN_NOT_COALESCED", "unmerged", lambda bench: chain(bench, "unmerged", 8, keep=False)),
    Plant("VM_BAD_POWER_STATE", "suspended", lambda bench: bench.here.call("VM.suspend", bench.vm("suspended"))),
    Plant("NOT_A_VM", "template", lambda bench: bench.here.call("VM.set_is_a_template", bench.vm("template"), True)),
    Plant("SOURCE_CLAIMED", "claimed"),
    Plant("ALREADY_MIGRATED ONE_PASS", "moved"),
    Plant(
        "SOURCE_WILL_BE_KEPT",
        "kept",
        lambda bench: bench.here.call("VM.snapshot", bench.vm("kept"), "before"),
        lambda bench: {"deleteSourceVm": True},
    ),
    Plant("DISK_SHARABLE DISK_RESET_ON_BOOT DISK_MISSING", "disks", spoil_disks),
    Plant("DISK_SHARED", "used", share),
    Plant("DISK_TOO_LARGE NOT_READ_BACK DISK_TOO_LARGE_FOR_SR", "large", tell_formats),
    Plant("SR_OVERCOMMITTED", "wide"),
    Plant("SR_NOT_READABLE", "away", lambda bench: bench.unplug(bench.source, ON_THE_MEMBER, 1)),
    Plant("SR_ON_BOTH_POOLS", "both", introduce),
    Plant("FORCE_NEEDED", "both", asked=lambda bench: {"startDestinationVm": False}),
    Plant(
        "NO_SPACE",
        "full",
        lambda bench: control(bench.target, "space", sr=bench.target.srs[ON_THE_MEMBER].uuid, used=200 * GIB - 8 * MIB),
        onto(ON_THE_MEMBER),
    ),
    Plant("SR_NOT_EVERYWHERE", "kept", lambda bench: bench.unplug(bench.target, SECOND, 1), onto(SECOND)),
    Plant("NO_NETWORK_MATCH", "private", take_private_network),
    Plant("VIF_LOCKING_RESTRICTED", "locked", lock),
    Plant("MAC_OF_HALTED_VM", "seeded"),
    Plant("MAC_SEED_IN_USE", "sown"),
    Plant("NO_HOST_COULD_START", "broad", asked=lambda bench: {"startDestinationVm": False}),
    Plant("NO_SECURE_BOOT_CERTIFICATES", "secure"),
    Plant("PV_GUEST", "pv"),
    Plant("HA_OFF_ON_TARGET", "protected", protect),
    Plant("HA_NEEDS_SHARED_SR POOL_UPGRADING", "protected", upgrade_and_protect),
    Plant("APPLIANCE_STAYS GROUP_STAYS SCHEDULE_STAYS VGPU_STAYS VUSB_STAYS", "tied", tie),
]

OLD_VMS = [
    vm("plain"),
    vm("toolless", tools=False, **RUNNING),
    vm("tracked", **RUNNING),
    vm("large", DiskConfig(size_bytes=3 * TIB)),
    vm("running-large", DiskConfig(size_bytes=3 * TIB), tools=False, **RUNNING),
    vm("placed", vifs=5),
]


def far_disk(bench: Bench) -> None:
    """A disk at a position that 6.5 does not have."""
    (vbd,) = [
        ref
        for ref in bench.here.call("VM.get_VBDs", bench.vm("placed"))
        if bench.here.call("VBD.get_type", ref) == "Disk"
    ]
    bench.has("VBD", bench.here.call("VBD.get_uuid", vbd), userdevice="200")


def forget_format(bench: Bench) -> None:
    """The storage does not say what it keeps the disk as, which happens."""
    bench.has("VDI", bench.disk_uuid("large"), sm_config={})


OLD_PLANTS = [
    Plant("OLD_TLS NO_FORWARD_SECRECY WEAK_HOST_KEY NBD_IN_CLEAR OLDER_RELEASE"),
    Plant("NO_TRACKING", "tracked"),
    Plant("TRACKING_NEEDED", "tracked", asked=lambda bench: {"transport": "nbd"}),
    Plant("NBD_NEEDS_TOOLS", "toolless", asked=lambda bench: {"transport": "nbd"}),
    Plant("DISK_TOO_LARGE_FOR_RELEASE WHOLE_DISK_READ", "large", forget_format),
    Plant("READ_BACK_NEEDS_NBD", "large", asked=lambda bench: {"verify": "full"}),
    Plant("LARGE_DISK_NEEDS_TOOLS", "running-large"),
    Plant("SR_NOT_ZEROED", asked=onto(SECOND)),
    Plant("DISK_POSITION VIF_POSITION", "placed", far_disk),
]
