"""What is planted in the records of two pools so that a plan finds it: VMs with an obstacle or two, and how each comes about."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.pools import control
from tests.scenarios.planting import ON_THE_MEMBER, RUNNING, SECOND, Bench, Plant, mapped, onto, vm
from xo_warmig.model.units import GIB, KIB, MIB, TIB
from xo_warmig.simulator.launch import Pool
from xo_warmig.simulator.site import DiskConfig, GuestConfig

SEED = {"mac_seed": "8ab5b3f0-0000-4000-8000-6d4c8a1e77f2"}
OTHER_SEED = {"mac_seed": "8ab5b3f0-0000-4000-8000-6d4c8a1e77f3"}
NOBODY = "9c0d2f54-0000-4000-8000-000000000000"
ENDLESS = 3600.0  # seconds
WRITING = GuestConfig(kind="blocks", rate=0)
VMS = [
    vm("plain", **RUNNING),
    vm("toolless", tools=False, **RUNNING),
    vm("busy", **RUNNING),
    vm("changing", **RUNNING),
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
    vm("other", DiskConfig(size_bytes=8 * MIB, image_format="qcow2"), tools=False, **RUNNING),
    vm("clean", DiskConfig(size_bytes=8 * MIB, image_format="qcow2"), **RUNNING),
    vm("raw", DiskConfig(size_bytes=8 * MIB, image_format="raw"), **RUNNING),
    vm("several", *[DiskConfig(size_bytes=4 * MIB)] * 2),
    vm("wide", DiskConfig(size_bytes=300 * GIB)),
    vm("away", DiskConfig(size_bytes=4 * MIB, sr=ON_THE_MEMBER)),
    vm("both", DiskConfig(size_bytes=4 * MIB, sr=SECOND)),
    vm("full", DiskConfig(size_bytes=64 * MIB, allocated_bytes=32 * MIB)),
    vm("private"),
    vm("locked"),
    vm("addressed", guest=GuestConfig(kind="none", sets_addresses=True), **RUNNING),
    vm("pair", vifs=2),
    vm("seeded", other_config=SEED),
    vm("sown", other_config=OTHER_SEED),
    vm("broad", vcpus=64),
    vm("uneven", vcpus=3, platform={"cores-per-socket": "2"}),
    vm("nested", platform={"nested-virt": "true"}),
    vm("secure", firmware="uefi", secure_boot=True),
    vm("auto", firmware="uefi", platform={"secureboot": "auto"}),
    vm("sealed", firmware="uefi", vtpm=True),
    vm("pv", kind="pv"),
    vm("protected"),
    vm("tied", fields={"VCPUs_params": {"mask": "0,1"}}),
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
    """A vApp, a VM group, beside the mask of processors that it came with, a schedule, a virtual GPU and a USB device."""
    here, ref = bench.here, bench.vm("tied")
    here.call("VM.set_appliance", ref, here.call("VM_appliance.create", {"name_label": "a", "name_description": ""}))
    group = {"name_label": "g", "name_description": "", "placement": "normal"}
    here.call("VM.set_groups", ref, [here.call("VM_group.create", group)])
    uuid = bench.uuids["tied"]
    bench.has("VM", uuid, snapshot_schedule=bench.has("VMSS", name_label="daily"))
    bench.has("VGPU", VM=ref, device="0")
    bench.has("VUSB", VM=ref)


def lock(bench: Bench) -> None:
    bench.here.call("VIF.set_locking_mode", bench.vif("locked"), "locked")


def address(bench: Bench) -> None:
    bench.here.call("VIF.configure_ipv4", bench.vif("addressed"), "Static", "192.0.2.7/24", "192.0.2.1")


def certify(bench: Bench) -> None:
    """The source's pool has keys of its own to boot securely by; the target's has none."""
    (pool,) = bench.here.call("pool.get_all")
    bench.has("pool", bench.here.call("pool.get_uuid", pool), custom_uefi_certificates="a2V5cw==")


def scan(bench: Bench) -> None:
    """An SR of the target is scanned, for as long as this lasts (``ENDLESS``)."""
    bench.there.call("Async.SR.scan", bench.there.call("SR.get_by_uuid", bench.target.srs[SECOND].uuid))


def disk_to(sr: Callable[[Bench], str]) -> Callable[[Bench], Mapping[str, Any]]:
    return lambda bench: {"mapVdisSrs": {bench.disk_uuid("plain"): sr(bench)}}


def within_the_pool(bench: Bench) -> Mapping[str, Any]:
    """One disk to another SR, the other one onto that on which both are."""
    moved = {bench.disk_uuid("several"): bench.source.srs[SECOND].uuid}
    return {"sr": bench.source.srs[0].uuid, "mapVdisSrs": moved}


def addresses(first: Callable[[Bench], str]) -> Callable[[Bench], Mapping[str, Any]]:
    """A MAC address for the first interface."""
    return lambda bench: {"macAddresses": {bench.vif_uuid("pair"): first(bench)}}


def second_address(bench: Bench) -> str:
    return str(bench.here.call("VIF.get_MAC", bench.vif("pair", "1")))


def iso_of(pool: Pool) -> str:
    (found,) = [sr.uuid for sr in pool.srs if sr.name_label == "ISO library"]
    return found


PLANTS = [
    Plant("SAMPLE_OF_EXPORT_HEAD NO_NBD POOL_IN_CLEAR LICENCE_FORBIDS_START LIMIT_WITHOUT_POOL"),
    Plant("BAD_CUTOVER", asked=lambda bench: {"cutover": "soon"}),
    Plant("CUTOVER_IN_THE_PAST", asked=lambda bench: {"cutover": "2020-01-31T03:00:00Z"}),
    Plant("DELETE_WITHOUT_START", asked=lambda bench: {"deleteSourceVm": True, "startDestinationVm": False}),
    Plant("UNKNOWN_DISK", asked=lambda bench: {"mapVdisSrs": {NOBODY: bench.target.srs[0].uuid}}),
    Plant("UNKNOWN_VIF", asked=lambda bench: {"mapVifsNetworks": {NOBODY: bench.target.networks[0].uuid}}),
    Plant("NO_SUCH_OBJECT", asked=lambda bench: {"mapVifsNetworks": {bench.vif_uuid("plain"): NOBODY}}),
    Plant("SR_IN_OTHER_POOL", asked=disk_to(lambda bench: bench.source.srs[SECOND].uuid)),
    Plant("DISK_STAYS_ON_SR", "several", asked=within_the_pool),
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
    Plant(
        "VM_CHANGING",
        "changing",
        lambda bench: bench.has(
            "VM", bench.uuids["changing"], current_operations={"OpaqueRef:1": "changing_VCPUs_live"}
        ),
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
    Plant("IMAGE_NEEDS_NBD IMAGE_NEEDS_TOOLS IMAGE_FORMAT_CHANGES", "other"),
    Plant("POWER_NOT_CUT", "clean", asked=lambda bench: {"shutdown": {"force": "always"}}),
    Plant("SNAPSHOT_NOT_SUPPORTED", "raw"),
    Plant("SR_OVERCOMMITTED", "wide"),
    Plant("SR_NOT_READABLE", "away", lambda bench: bench.unplug(bench.source, ON_THE_MEMBER, 1)),
    Plant(
        "SR_GOING",
        "away",
        lambda bench: bench.has(
            "SR", bench.source.srs[ON_THE_MEMBER].uuid, current_operations={"OpaqueRef:1": "forget"}
        ),
    ),
    Plant("SR_ON_BOTH_POOLS", "both", introduce),
    Plant("FORCE_NEEDED", "both", asked=lambda bench: {"startDestinationVm": False}),
    Plant(
        "NO_SPACE",
        "full",
        lambda bench: control(bench.target, "space", sr=bench.target.srs[ON_THE_MEMBER].uuid, used=200 * GIB - 8 * MIB),
        onto(ON_THE_MEMBER),
    ),
    Plant("SR_NOT_EVERYWHERE", "kept", lambda bench: bench.unplug(bench.target, SECOND, 1), onto(SECOND)),
    Plant("SR_BUSY", "kept", scan, onto(SECOND)),
    Plant("NO_NETWORK_MATCH", "private", take_private_network),
    Plant("VIF_LOCKING_RESTRICTED", "locked", lock),
    Plant("ADDRESSES_SET_LATE", "addressed", address),
    Plant("MAC_CHANGES", "pair", asked=lambda bench: {"macAddresses": "new"}),
    Plant("BAD_MAC_ADDRESS", "pair", asked=addresses(lambda bench: "01:00:5e:00:00:01")),
    Plant("MAC_ADDRESS_TWICE", "pair", asked=addresses(second_address)),
    Plant("MAC_OF_HALTED_VM", "seeded"),
    Plant("MAC_SEED_IN_USE", "sown"),
    Plant("NO_HOST_COULD_START", "broad", asked=lambda bench: {"startDestinationVm": False}),
    Plant("VCPU_TOPOLOGY", "uneven"),
    Plant("NESTED_VIRT_RESTRICTED", "nested"),
    Plant("NO_SECURE_BOOT_CERTIFICATES", "secure"),
    Plant("SECURE_BOOT_CHANGES", "auto", certify),
    Plant("VTPM_NEEDS_ROOT", "sealed"),
    Plant("PV_GUEST", "pv"),
    Plant("HA_OFF_ON_TARGET", "protected", protect),
    Plant("HA_NEEDS_SHARED_SR POOL_UPGRADING", "protected", upgrade_and_protect),
    Plant("APPLIANCE_STAYS CPU_MASK_STAYS GROUP_STAYS SCHEDULE_STAYS VGPU_STAYS VUSB_STAYS", "tied", tie),
]
