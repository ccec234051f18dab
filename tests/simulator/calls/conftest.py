"""Objects of a pool by the calls that make them, and refusals as clients see them."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.pool import SimPool

MIB, GIB = 1 << 20, 1 << 30
_QOS: dict[str, Any] = {"qos_algorithm_type": "", "qos_algorithm_params": {}, "other_config": {}}
_PV = ("PV_bootloader", "PV_kernel", "PV_ramdisk", "PV_args", "PV_bootloader_args", "PV_legacy_args", "PCI_bus")
_MEMORY = ("memory_static_max", "memory_dynamic_max", "memory_dynamic_min", "memory_static_min")

VM_RECORD: dict[str, Any] = {
    "name_label": "guest",
    "name_description": "",
    "user_version": "1",
    "is_a_template": False,
    "affinity": "",
    "VCPUs_params": {},
    "VCPUs_max": "2",
    "VCPUs_at_startup": "1",
    "actions_after_shutdown": "destroy",
    "actions_after_reboot": "restart",
    "actions_after_crash": "restart",
    "HVM_boot_policy": "BIOS order",
    "HVM_boot_params": {"order": "cd", "firmware": "bios"},
    "platform": {"acpi": "1"},
    "other_config": {},
    "recommendations": "",
    "has_vendor_device": False,
    **dict.fromkeys(_PV, ""),
    **dict.fromkeys(_MEMORY, str(GIB)),
}


class Make:
    """Makes objects on a pool. ``make.vm(disk, tools=True)`` gives a halted VM with that disk."""

    def __init__(self, client: Callable[..., Any], pool: SimPool) -> None:
        self.client = client
        self.pool = pool
        self.sr = pool.db.row("pool", pool.pool_ref)["default_SR"]
        self.network = next(ref for ref, row in pool.db.rows("network").items() if row["PIFs"])

    def vdi(self, size_bytes: int = 16 * MIB, **fields: Any) -> str:
        record = {"SR": self.sr, "virtual_size": str(size_bytes), "type": "user", "sharable": False, "read_only": False}
        return str(self.client("VDI.create", record | {"other_config": {}} | fields))

    def vm(self, *vdis: str, tools: bool = False, **fields: Any) -> str:
        guest = {"other_config": {"sim:guest": '{"tools": true}'}} if tools else {}
        vm = str(self.client("VM.create", VM_RECORD | guest | fields))
        for position, vdi in enumerate(vdis):
            self.vbd(vm, vdi, str(position))
        return vm

    def running(self, *vdis: str, tools: bool = True, **fields: Any) -> str:
        vm = self.vm(*vdis, tools=tools, **fields)
        self.client("VM.start", vm, False, False)
        return vm

    def vbd(self, vm: str, vdi: str, userdevice: str = "autodetect", **fields: Any) -> str:
        record = {"VM": vm, "VDI": vdi, "userdevice": userdevice, "bootable": False, "mode": "RW", "type": "Disk"}
        return str(self.client("VBD.create", _QOS | record | {"empty": False} | fields))

    def drive(self, vm: str, **fields: Any) -> str:
        """An empty CD drive."""
        return self.vbd(vm, "OpaqueRef:NULL", type="CD", mode="RO", empty=True, **fields)

    def vif(self, vm: str, device: str = "0", mac: str = "", **fields: Any) -> str:
        record = {"VM": vm, "network": self.network, "device": device, "MAC": mac, "MTU": "1500"}
        return str(self.client("VIF.create", _QOS | record | fields))

    def write(self, vdi: str, offset: int, data: bytes) -> None:
        """Put bytes on a disk, as whoever has it attached would."""
        with self.pool.storage.open(self.field("VDI", vdi, "uuid"), writable=True) as disk:
            disk.pwrite(offset, data)

    def read(self, vdi: str, offset: int, length: int) -> bytes:
        with self.pool.storage.open(self.field("VDI", vdi, "uuid")) as disk:
            return disk.pread(offset, length)

    def field(self, cls: str, ref: str, name: str) -> Any:
        return self.pool.db.row(cls, ref)[name]


@pytest.fixture
def make(client: Callable[..., Any], pool: SimPool) -> Make:
    return Make(client, pool)


@pytest.fixture
def make_on(client: Callable[..., Any]) -> Callable[[SimPool], Make]:
    """The same for a pool of the test's own, which has a ``client`` of its own."""
    connect: Callable[[SimPool], Callable[..., Any]] = type(client)
    return lambda pool: Make(connect(pool), pool)


@pytest.fixture
def refused() -> Callable[..., list[str]]:
    """``refused(client, "VM.start", ...)`` gives the details of the failure that the call must end in."""

    def call(client: Callable[..., Any], method: str, *args: Any) -> list[str]:
        with pytest.raises(XapiFailure) as caught:
            client(method, *args)
        return caught.value.details

    return call
