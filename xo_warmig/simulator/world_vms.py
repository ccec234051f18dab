"""The VMs that a new pool has, made by the same calls that a client would make. What a pool is without VMs is in world."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from xo_warmig.simulator import calls
from xo_warmig.simulator.calls.bios import generic
from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.decoding import constructor_record
from xo_warmig.simulator.dispatch import Call
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.site import DiskConfig, VifConfig, VmConfig
from xo_warmig.simulator.storage import BLOCK
from xo_warmig.simulator.storage.change_bits import GRAIN

_ZEROS = bytes(BLOCK)
_PLATFORM = {
    "acpi": "1",
    "apic": "true",
    "pae": "true",
    "nx": "true",
    "viridian": "false",
    "cores-per-socket": "1",
    "device_id": "0001",
}


def build_vm(pool: SimPool, config: VmConfig) -> str:
    """A VM with its devices, in the power state asked for. Gives its reference."""
    vm: str = _run(pool, "VM.create", constructor_record("VM", _vm_record(config)))
    if config.uuid:
        pool.db.set("VM", vm, uuid=config.uuid)
    for position, disk in enumerate(config.disks):
        vdi = build_disk(pool, disk, f"{config.name_label} {position}")
        bootable = position == 0 if disk.bootable is None else disk.bootable
        _vbd(pool, vm, vdi, position, mode=disk.mode, bootable=bootable)
    if config.cd_drive:
        _vbd(pool, vm, NULL, max(3, len(config.disks)), type="CD", mode="RO", empty=True)
    for device in range(config.vifs):
        _vif(pool, vm, device, config.interfaces[device] if device < len(config.interfaces) else VifConfig())
    if config.vtpm:
        _run(pool, "VTPM.create", vm, config.vtpm_is_unique)
    if config.bios_strings:
        pool.db.set("VM", vm, bios_strings=generic(pool.release) | config.bios_strings)
    if config.power_state != "Halted":
        _run(pool, "VM.start", vm, config.power_state == "Paused", False)
    if config.power_state == "Suspended":
        _run(pool, "VM.suspend", vm)
    for operation, reason in config.blocked_operations.items():
        pool.db.update_map("VM", vm, "blocked_operations", **{operation: reason})
    return vm


def build_disk(pool: SimPool, config: DiskConfig, name_label: str) -> str:
    """A disk with its data. Gives its reference."""
    record: dict[str, Any] = {
        "name_label": config.name_label or name_label,
        "name_description": config.name_description,
        "SR": _user_srs(pool)[config.sr],
        "virtual_size": config.size_bytes,
        "type": "user",
        "sharable": False,
        "read_only": False,
        "other_config": config.other_config,
        "tags": config.tags,
    }
    vdi: str = _run(pool, "VDI.create", constructor_record("VDI", record))
    uuid = pool.db.row("VDI", vdi)["uuid"]
    if config.image:
        pool.storage.load_image(uuid, Path(config.image))
    if config.allocated_bytes:
        _write_data(pool, uuid, config.allocated_bytes)
    if config.data_at:
        _write_data_at(pool, uuid, config.data_at)
    pool.db.set("VDI", vdi, allow_caching=config.allow_caching)
    pool.db.set("VDI", vdi, physical_utilisation=pool.space.disk_bytes(pool.db.row("VDI", vdi)))
    return vdi


def _write_data(pool: SimPool, uuid: str, allocated_bytes: int) -> None:
    """Seeded random data in whole blocks, spread evenly over the disk; the same seed gives the same data."""
    blocks = pool.storage.virtual_size_bytes(uuid) // BLOCK
    wanted = min(blocks, -(-allocated_bytes // BLOCK))
    noise = _noise(f"{pool.seed}/{uuid}")
    with pool.storage.open(uuid, writable=True) as disk:
        for n in range(wanted):
            disk.pwrite(n * blocks // wanted * BLOCK, noise.update(_ZEROS))


def _noise(seed: str) -> CipherContext:
    """A key stream: ten times as fast as ``random.randbytes``, which is most of the time that a pool with full disks needs to start."""
    return Cipher(algorithms.AES(hashlib.sha256(seed.encode()).digest()), modes.CTR(bytes(16))).encryptor()


def _write_data_at(pool: SimPool, uuid: str, offsets: list[int]) -> None:
    """Seeded random data at just these places."""
    noise = _noise(f"{pool.seed}/{uuid}/at")
    with pool.storage.open(uuid, writable=True) as disk:
        for offset in offsets:
            disk.pwrite(offset, noise.update(bytes(GRAIN)))


def _vm_record(config: VmConfig) -> dict[str, Any]:
    """What ``VM.create`` is given."""
    memory = dict.fromkeys(("static_max", "dynamic_max"), config.memory_bytes)
    memory |= dict.fromkeys(("dynamic_min", "static_min"), config.dynamic_min_bytes or config.memory_bytes)
    is_hvm = config.kind == "hvm"
    secure_boot = {"secureboot": "true"} if config.secure_boot else {}
    guest = msgspec.json.decode(msgspec.json.encode(config.guest)) | {"tools": config.tools}
    empty = ("PV_bootloader", "PV_kernel", "PV_ramdisk", "PV_args", "PV_bootloader_args", "PV_legacy_args", "PCI_bus")
    return (
        {
            "name_label": config.name_label,
            "name_description": config.name_description,
            "user_version": 1,
            "is_a_template": False,
            "affinity": NULL,
            "VCPUs_params": {},
            "VCPUs_max": config.vcpus,
            "VCPUs_at_startup": config.vcpus,
            "actions_after_shutdown": "destroy",
            "actions_after_reboot": "restart",
            "actions_after_crash": "restart",
            "HVM_boot_policy": "BIOS order" if is_hvm else "",
            "HVM_boot_params": {"order": "cdn", "firmware": config.firmware} if is_hvm else {},
            "domain_type": config.kind,
            "platform": _PLATFORM | secure_boot | config.platform,
            "other_config": config.other_config | {"sim:guest": msgspec.json.encode(guest).decode()},
            "recommendations": "",
            "tags": config.tags,
            "NVRAM": config.NVRAM,
            "xenstore_data": config.xenstore_data,
            "has_vendor_device": False,
        }
        | config.fields
        | {f"memory_{name}": size for name, size in memory.items()}
        | dict.fromkeys(empty, "")
        | ({} if is_hvm else {"PV_bootloader": "pygrub", "PV_args": "root=/dev/xvda1 ro quiet"})
    )


_QOS: dict[str, Any] = {"qos_algorithm_type": "", "qos_algorithm_params": {}, "other_config": {}}


def _vbd(pool: SimPool, vm: str, vdi: str, position: int, **fields: Any) -> None:
    record = {"VM": vm, "VDI": vdi, "userdevice": str(position), "bootable": False, "type": "Disk", "empty": False}
    _run(pool, "VBD.create", constructor_record("VBD", _QOS | record | fields))


def _vif(pool: SimPool, vm: str, device: int, config: VifConfig) -> None:
    """The address is the record's alone: in a real pool the tools of a guest that ran once were told."""
    record: dict[str, Any] = {"VM": vm, "network": _network(pool), "device": str(device), "MAC": "", "MTU": 1500}
    record |= _QOS | {"other_config": config.other_config, "locking_mode": config.locking_mode}
    record |= {"ipv4_allowed": config.ipv4_allowed, "ipv6_allowed": config.ipv6_allowed}
    ref = _run(pool, "VIF.create", constructor_record("VIF", record))
    if config.ipv4_address:
        given = {"ipv4_addresses": [config.ipv4_address], "ipv4_gateway": config.ipv4_gateway}
        pool.db.set("VIF", ref, ipv4_configuration_mode="Static", **given)


def _network(pool: SimPool) -> str:
    return next(ref for ref, row in pool.db.rows("network").items() if row["PIFs"])


def _user_srs(pool: SimPool) -> list[str]:
    return [ref for ref, row in pool.db.rows("SR").items() if row["content_type"] != "iso"]


def _run(pool: SimPool, method: str, *args: Any) -> Any:
    """One call of a client, without the wire."""
    task = pool.tasks.create(method)
    try:
        call = Call(pool=pool, method=method, task=task, host=pool.master)
        return calls.HANDLERS[method](call, *args)
    finally:
        pool.tasks.remove(task)
