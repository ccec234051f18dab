"""Records as XAPI sends them made into the model's values. Pure: nothing here asks a pool anything."""

import xmlrpc.client
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from xo_warmig.model.api_versions import ApiVersion
from xo_warmig.model.vm import CdDrive, Disk, GuestAddress, Network, PowerState, Vif, Vm
from xo_warmig.xapi.builds import build_from, ties_from
from xo_warmig.xapi.chains import Chain, Chains
from xo_warmig.xapi.image_formats import image_format
from xo_warmig.xapi.objects import exists

Record = Mapping[str, Any]
Records = Mapping[str, Record]  # by reference

API_VERSION = "xo_warmig:api_version"  # added to the metadata: "major.minor" of the source pool


class Inventory(NamedTuple):
    """The records of a pool that a VM is read from."""

    vms: Records
    vbds: Records
    vdis: Records
    vifs: Records
    networks: Records
    pifs: Records
    srs: Records


class Origin(NamedTuple):
    """The pool that an inventory is of."""

    pool: str  # uuid
    name: str
    api_version: ApiVersion


def vm_from(ref: str, inventory: Inventory, origin: Origin, guest_metrics: Record | None) -> Vm:
    """All that a migration reads of a VM."""
    record = inventory.vms[ref]
    vbds = [vbd for vbd in inventory.vbds.values() if vbd["VM"] == ref]
    vifs = [vif for vif in inventory.vifs.values() if vif["VM"] == ref]
    snapshots = [vm for vm in inventory.vms.values() if vm["is_a_snapshot"] and vm["snapshot_of"] == ref]
    suspended = inventory.vdis.get(record.get("suspend_VDI", ""))
    return Vm(
        uuid=record["uuid"],
        pool=origin.pool,
        pool_name=origin.name,
        name_label=record["name_label"],
        power_state=PowerState(record["power_state"]),
        is_a_template=record["is_a_template"],
        is_a_snapshot=record["is_a_snapshot"],
        is_control_domain=record["is_control_domain"],
        current_operations=sorted(record["current_operations"].values()),
        blocked_operations=dict(record["blocked_operations"]),
        tools=has_tools(guest_metrics),
        ha_restart_priority=record["ha_restart_priority"],
        auto_poweron=record["other_config"].get("auto_poweron") == "true",
        memory_static_max_bytes=int(record["memory_static_max"]),
        other_config=dict(record["other_config"]),
        disks=disks_from(vbds, inventory),
        cd_drives=cd_drives_from(vbds, inventory.vdis),
        vifs=vifs_from(vifs, inventory.networks),
        networks=networks_by_uuid(
            {
                vif["network"]: inventory.networks[vif["network"]]
                for vif in vifs
                if vif["network"] in inventory.networks
            },
            inventory.pifs,
        ),
        snapshots=[vm["uuid"] for vm in snapshots],
        suspend_vdi=suspended["uuid"] if suspended else None,
        vtpms=len(record.get("VTPMs", [])),
        checkpoints=[vm["uuid"] for vm in snapshots if exists(vm.get("suspend_VDI"))],
        build=build_from(record),
        ties=ties_from(record),
        metadata=metadata_from(record, origin),
    )


def metadata_from(record: Record, origin: Origin) -> dict[str, Any]:
    """A VM's record as ``Vm.metadata``."""
    return {**as_json(record), API_VERSION: "{}.{}".format(*origin.api_version)}


def disks_from(vbds: Iterable[Record], inventory: Inventory) -> list[Disk]:
    """The disks of a VM, in the order of their device numbers."""
    chains = Chains(inventory.vdis.values())
    found = [
        disk_from(vbd, vdi := inventory.vdis[vbd["VDI"]], inventory, chains.of(vdi))
        for vbd in vbds
        if vbd["type"] == "Disk" and vbd["VDI"] in inventory.vdis
    ]
    return sorted(found, key=lambda disk: _number(disk.device))


def disk_from(vbd: Record, vdi: Record, inventory: Inventory, chain: Chain) -> Disk:
    """A disk: its VDI, with the chain under it, and the VBD that gives it to the VM."""
    sr = inventory.srs.get(vdi["SR"], {})
    return Disk(
        vdi=vdi["uuid"],
        sr=sr.get("uuid", ""),
        device=vbd["userdevice"],
        mode=vbd["mode"],
        bootable=vbd["bootable"],
        unpluggable=vbd["unpluggable"],
        virtual_size_bytes=int(vdi["virtual_size"]),
        physical_bytes=int(vdi["physical_utilisation"]),
        name_label=vdi["name_label"],
        name_description=vdi["name_description"],
        vdi_type=vdi["type"],
        sharable=vdi["sharable"],
        read_only=vdi["read_only"],
        on_boot=vdi["on_boot"],
        tags=list(vdi["tags"]),
        vdi_other_config=dict(vdi["other_config"]),
        vbd_other_config=dict(vbd["other_config"]),
        qos_algorithm_type=vbd["qos_algorithm_type"],
        qos_algorithm_params=dict(vbd["qos_algorithm_params"]),
        snapshots=[inventory.vdis[ref]["uuid"] for ref in vdi["snapshots"] if ref in inventory.vdis],
        other_vms=other_vms(vbd, vdi, inventory),
        chain_depth=chain.depth,
        unmerged=chain.unmerged,
        tracked=bool(vdi.get("cbt_enabled", False)),
        image_format=image_format(vdi, inventory.vdis.get(vdi["snapshot_of"], {}), sr),
        missing=bool(vdi.get("missing", False)),
        current_operations=sorted(vdi.get("current_operations", {}).values()),
        allow_caching=bool(vdi.get("allow_caching", False)),
    )


def other_vms(vbd: Record, vdi: Record, inventory: Inventory) -> list[str]:
    """The VMs beside the one of ``vbd`` that have a VBD on this disk; control domains and snapshots are left out."""
    refs = {
        inventory.vbds[ref]["VM"]
        for ref in vdi["VBDs"]
        if ref in inventory.vbds and inventory.vbds[ref]["VM"] != vbd["VM"]
    }
    others = [inventory.vms[ref] for ref in refs if ref in inventory.vms]
    return sorted(vm["uuid"] for vm in others if not vm["is_control_domain"] and not vm["is_a_snapshot"])


def cd_drives_from(vbds: Iterable[Record], vdis: Records) -> list[CdDrive]:
    """The CD drives of a VM, in the order of their device numbers."""
    drives = [
        CdDrive(
            device=vbd["userdevice"],
            inserted_vdi=vdis[vbd["VDI"]]["uuid"] if vbd["VDI"] in vdis else None,
            bootable=bool(vbd["bootable"]),
        )
        for vbd in vbds
        if vbd["type"] == "CD"
    ]
    return sorted(drives, key=lambda drive: _number(drive.device))


def vifs_from(vifs: Iterable[Record], networks: Records) -> list[Vif]:
    """The interfaces of a VM, in the order of their device numbers."""
    return [vif_from(vif, networks) for vif in sorted(vifs, key=lambda vif: _number(vif["device"]))]


def vif_from(vif: Record, networks: Records) -> Vif:
    """A network interface; the fields of locking and of the guest's addresses are younger than the class."""
    return Vif(
        uuid=vif["uuid"],
        device=vif["device"],
        mac=vif["MAC"],
        mtu=int(vif["MTU"]),
        network=networks.get(vif["network"], {}).get("uuid", ""),
        locking_mode=vif.get("locking_mode", "network_default"),
        ipv4_allowed=list(vif.get("ipv4_allowed", [])),
        ipv6_allowed=list(vif.get("ipv6_allowed", [])),
        ipv4=_guest_address(vif, "ipv4"),
        ipv6=_guest_address(vif, "ipv6"),
        other_config=dict(vif["other_config"]),
        qos_algorithm_type=vif["qos_algorithm_type"],
        qos_algorithm_params=dict(vif["qos_algorithm_params"]),
    )


def _guest_address(vif: Record, family: str) -> GuestAddress:
    """Since 7.0. XAPI keeps a set, in which there is one address at most."""
    if vif.get(f"{family}_configuration_mode", "None") == "None":
        return GuestAddress()
    address = next(iter(vif.get(f"{family}_addresses", [])), "")
    return GuestAddress(mode=vif[f"{family}_configuration_mode"], address=address, gateway=vif[f"{family}_gateway"])


def networks_by_uuid(networks: Records, pifs: Records) -> dict[str, Network]:
    """Networks with the VLAN of the first of their PIFs that is known."""
    found = {}
    for record in networks.values():
        vlans = [int(pifs[ref]["VLAN"]) for ref in record["PIFs"] if ref in pifs]
        vlan, mtu = vlans[0] if vlans else None, record.get("MTU")
        name = record["name_label"]
        found[record["uuid"]] = Network(
            uuid=record["uuid"], name_label=name, vlan=vlan, mtu=None if mtu is None else int(mtu)
        )
    return found


def has_tools(guest_metrics: Record | None) -> bool:
    """Whether guest tools were seen since the VM's start; releases before 7.0 know only the version of the drivers."""
    if guest_metrics is None:
        return False
    return bool(guest_metrics.get("PV_drivers_detected")) or bool(guest_metrics.get("PV_drivers_version"))


def guest_metrics_ref(record: Record) -> str | None:
    """The reference of a VM's guest metrics, None when it has none."""
    ref = record.get("guest_metrics")
    return str(ref) if exists(ref) else None


def as_json(value: Any) -> Any:
    """The same with XML-RPC's own types as text."""
    match value:
        case dict():
            return {str(key): as_json(item) for key, item in value.items()}
        case list():
            return [as_json(item) for item in value]
        case xmlrpc.client.DateTime():
            return str(value)
    return value


def _number(device: str) -> tuple[int, str]:
    """Devices are numbers as text mostly, but names are allowed."""
    return (int(device), "") if device.isdecimal() else (1 << 16, device)
