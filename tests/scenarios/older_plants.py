"""What is planted where one of the pools is of an older release, and how each comes about."""

from tests.scenarios.planting import RUNNING, SECOND, Bench, Plant, onto, vm
from xo_warmig.model.units import TIB
from xo_warmig.simulator.site import DiskConfig, VifConfig

MAKER = {"bios-vendor": "Dell Inc.", "system-manufacturer": "Dell Inc."}
OLD_VMS = [
    vm("plain"),
    vm("toolless", tools=False, **RUNNING),
    vm("tracked", **RUNNING),
    vm("large", DiskConfig(size_bytes=3 * TIB)),
    vm("running-large", DiskConfig(size_bytes=3 * TIB), tools=False, **RUNNING),
    vm("placed", vifs=5),
    vm("addressed", interfaces=[VifConfig(ipv4_address="192.0.2.7/24", ipv4_gateway="192.0.2.1")]),
    vm("bound", bios_strings=MAKER | {"system-serial-number": "42"}),
    vm("pvh", kind="pvh"),
    vm("within", kind="pv_in_pvh"),
]
MIDDLE_VMS = [vm("windows", fields={"has_vendor_device": True})]


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
    Plant("ADDRESSES_STAY", "addressed"),
    Plant("BIOS_STRINGS_LENT BIOS_STRINGS_LOST", "bound"),
    Plant("PVH_NOT_SUPPORTED", "pvh"),
    Plant("PV_WITHOUT_PVH", "within"),
]
MIDDLE_PLANTS = [Plant("DEVICE_MODEL_REPLACED VENDOR_DEVICE_RESTRICTED", "windows")]
