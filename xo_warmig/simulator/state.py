"""A pool's state as a test wants to see it, and the hashes of its disks."""

import hashlib
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xo_warmig.errors import InvalidRequest
from xo_warmig.simulator import own_state
from xo_warmig.simulator.storage import BLOCK, ChainStore
from xo_warmig.simulator.storage.images import nonzero_on

if TYPE_CHECKING:
    from xo_warmig.simulator.pool import SimPool

_MOST_RAW_BYTES = 32 << 30
_ZEROS = bytes(BLOCK)
_VM_FIELDS = (
    "uuid",
    "name_label",
    "power_state",
    "blocked_operations",
    "current_operations",
    "is_a_template",
    "ha_restart_priority",
    "other_config",
    "platform",
    "NVRAM",
)


def state(pool: "SimPool") -> dict[str, Any]:
    """VMs, VM snapshots, VDIs (snapshots and base copies too), tasks and the control domains' VBDs, by uuid."""
    with pool.db.lock:
        vms = list(pool.db.rows("VM").values())
        return {
            "pool": pool.config.name,
            "vms": [_vm(pool, vm) for vm in vms if not vm["is_a_snapshot"] and not vm["is_control_domain"]],
            "snapshots": [_vm(pool, vm) for vm in vms if vm["is_a_snapshot"]],
            "vdis": [_vdi(pool, vdi) for vdi in pool.db.rows("VDI").values()],
            "tasks": [_task(ref, task) for ref, task in pool.db.rows("task").items()],
            "dom0_vbds": [vbd for vm in vms if vm["is_control_domain"] for vbd in _vbds(pool, vm)],
            "sessions": len(pool.db.refs("session")),
        }


def hashes(pool: "SimPool", *, raw: bool, only: str | None) -> dict[str, str]:
    """A hash per managed VDI that has an image, by uuid; or of the one asked for. Hashing a disk that is written on tells little."""
    uuids = [row["uuid"] for row in pool.db.rows("VDI").values() if row["managed"]] if only is None else [only]
    return {uuid: _hash(pool.storage, uuid, raw=raw) for uuid in uuids if pool.storage.exists(uuid)}


def sparse_hash(storage: ChainStore, uuid: str) -> str:
    """sha256 over the virtual size (8 bytes, little endian), and then, in order, for every 64 KiB of the disk that is not all zeros, its
    offset (8 bytes, little endian) and its 65,536 bytes. What is unallocated and what is zero is the same."""
    digest = hashlib.sha256(struct.pack("<Q", storage.virtual_size_bytes(uuid)))
    with storage.open(uuid) as disk:
        for block in storage.allocated_blocks(uuid):
            for offset, piece in nonzero_on(disk, block):
                digest.update(struct.pack("<Q", offset))
                digest.update(piece)
    return digest.hexdigest()


def raw_hash(storage: ChainStore, uuid: str) -> str:
    """sha256 over every byte of the disk. InvalidRequest above 32 GiB."""
    size = storage.virtual_size_bytes(uuid)
    if size > _MOST_RAW_BYTES:
        raise InvalidRequest(f"{uuid} is larger than 32 GiB", remedy="ask for hash=1, or for one VDI")
    digest, allocated = hashlib.sha256(), set(storage.allocated_blocks(uuid))
    with storage.open(uuid) as disk:
        for block in range(size // BLOCK):
            digest.update(disk.pread(block * BLOCK, BLOCK) if block in allocated else _ZEROS)
    return digest.hexdigest()


def _hash(storage: ChainStore, uuid: str, *, raw: bool) -> str:
    return raw_hash(storage, uuid) if raw else sparse_hash(storage, uuid)


def _vm(pool: "SimPool", vm: Mapping[str, Any]) -> dict[str, Any]:
    ref = pool.db.by_uuid("VM", vm["uuid"])
    return {name: vm[name] for name in _VM_FIELDS} | {
        "vtpms": [hashlib.sha256(text.encode()).hexdigest() for text in own_state.vtpm_contents(pool.db, ref)],
        "own_state": own_state.digest(pool.db, ref),
        "snapshot_of": _uuid(pool, "VM", vm["snapshot_of"]),
        "vbds": _vbds(pool, vm),
    }


def _vbds(pool: "SimPool", vm: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = [pool.db.row("VBD", ref) for ref in vm["VBDs"] if pool.db.exists("VBD", ref)]
    return [
        {
            "uuid": vbd["uuid"],
            "vm": vm["uuid"],
            "vdi": _uuid(pool, "VDI", vbd["VDI"]),
            "userdevice": vbd["userdevice"],
            "type": vbd["type"],
            "mode": vbd["mode"],
            "currently_attached": vbd["currently_attached"],
        }
        for vbd in rows
    ]


def _vdi(pool: "SimPool", vdi: Mapping[str, Any]) -> dict[str, Any]:
    uuid, storage = vdi["uuid"], pool.storage
    return {
        "uuid": uuid,
        "ref": pool.db.by_uuid("VDI", uuid),
        "name_label": vdi["name_label"],
        "type": vdi["type"],
        "cbt_enabled": vdi["cbt_enabled"],
        "sr": _uuid(pool, "SR", vdi["SR"]),
        "virtual_size": vdi["virtual_size"],
        "physical_utilisation": vdi["physical_utilisation"],
        "managed": vdi["managed"],
        "is_a_snapshot": vdi["is_a_snapshot"],
        "snapshot_of": _uuid(pool, "VDI", vdi["snapshot_of"]),
        "other_config": vdi["other_config"],
        "chain": storage.chain(uuid)[1:] if storage.exists(uuid) else [],
    }


def _task(ref: str, task: Mapping[str, Any]) -> dict[str, Any]:
    return {"ref": ref} | {name: task[name] for name in ("uuid", "name_label", "status", "progress", "error_info")}


def _uuid(pool: "SimPool", cls: str, ref: str) -> str | None:
    return str(pool.db.row(cls, ref)["uuid"]) if pool.db.exists(cls, ref) else None
