"""A small pool, written by hand: one host with an SR of its own, a shared SR, a running VM with tools, and what belongs to them."""

from typing import Any

from xo_warmig.xo.objects import PoolRecords, XoObject, object_of

Records = dict[str, dict[str, dict[str, Any]]]

POOL, HOST, MASTER, VM = "pool-uuid", "h-uuid", "m-uuid", "abcdef01-vm"
NOW = "20260101T00:00:00Z"
NOW_SECONDS = 1767225600
NOTHING = "OpaqueRef:NULL"


def small_pool() -> Records:
    """Records by class and reference, where the reference of ``x-uuid`` is ``OpaqueRef:x``."""
    return {
        "pool": {"OpaqueRef:pool": _pool()},
        "host": {"OpaqueRef:h": _host("h"), "OpaqueRef:m": _host("m", PIFs=[], PBDs=[])},
        "host_metrics": {"OpaqueRef:hm": {"memory_total": "1073741825", "memory_free": "1000", "live": True}},
        "VM": {"OpaqueRef:vm": _vm()},
        "VM_metrics": {
            "OpaqueRef:vmm": {"memory_actual": "4096", "VCPUs_number": "2", "install_time": "", "start_time": NOW}
        },
        "VM_guest_metrics": {"OpaqueRef:gm": _guest_metrics()},
        "VBD": {"OpaqueRef:vbd": _vbd()},
        "VIF": {"OpaqueRef:vif": _vif()},
        "VDI": {"OpaqueRef:vdi": vdi_record("vdi", VBDs=["OpaqueRef:vbd"])},
        "SR": {"OpaqueRef:sr": _sr("sr"), "OpaqueRef:nfs": _sr("nfs", shared=True, type="nfs", VDIs=[], PBDs=[])},
        "PBD": {"OpaqueRef:pbd": _pbd()},
        "network": {"OpaqueRef:net": _network()},
        "PIF": {"OpaqueRef:pif": _pif()},
        "PIF_metrics": {"OpaqueRef:pifm": {"device_name": "BCM", "carrier": True, "speed": "1000"}},
        "task": {"OpaqueRef:task": _task()},
        "message": {
            "OpaqueRef:msg": {"uuid": "msg-uuid", "body": "b", "name": "VM_STARTED", "timestamp": NOW}
            | {"obj_uuid": VM}
        },
    }


def made(records: Records, cls: str, ref: str) -> XoObject:
    """The object of a record."""
    one = object_of(cls, f"OpaqueRef:{ref}", PoolRecords(records))
    assert one is not None
    return one


def only(found: XoObject, *fields: str) -> XoObject:
    """Some of its fields."""
    return {field: found[field] for field in fields if field in found}


def _pool() -> dict[str, Any]:
    return {
        "uuid": POOL,
        "name_label": "",
        "name_description": "d",
        "master": "OpaqueRef:m",
        "default_SR": "OpaqueRef:nfs",
        "suspend_image_SR": NOTHING,
        "crash_dump_SR": "",
        "other_config": {"auto_poweron": "true"},
        "ha_enabled": True,
        "ha_statefiles": ["OpaqueRef:vdi", "OpaqueRef:gone"],
        "tags": ["t"],
        "restrictions": {"restrict_zstd_export": "false", "restrict_vtpm": "true"},
        "current_operations": {},
        "cpu_info": {"cpu_count": "16", "socket_count": "2"},
    }


def _host(name: str, **more: Any) -> dict[str, Any]:
    return {
        "uuid": f"{name}-uuid",
        "name_label": f"host {name}",
        "name_description": "",
        "address": "192.0.2.1",
        "hostname": name,
        "enabled": True,
        "software_version": {
            "product_brand": "XCP-ng",
            "product_version": "8.2.1",
            "platform_version": "3.2.1",
            "build_number": "release",
        },
        "other_config": {"boot_time": "1767225600.", "agent_start_time": "1767225700.", "multipathing": "true"},
        "capabilities": ["xen-3.0-x86_64", "hvm-3.0-x86_32"],
        "cpu_info": {"cpu_count": "8", "socket_count": "1"},
        "license_params": {"restrict_zstd_export": "false", "expiry": "20300101T00:00:00Z"},
        "chipset_info": {"iommu": "true"},
        "metrics": f"OpaqueRef:{name}m",
        "resident_VMs": [],
        "PIFs": ["OpaqueRef:pif"],
        "PBDs": ["OpaqueRef:pbd"],
        "patches": [],
        "updates": [],
        "power_on_mode": "wake-on-lan",
        "control_domain": NOTHING,
    } | more


def _vm() -> dict[str, Any]:
    return {
        "uuid": VM,
        "name_label": "web",
        "name_description": "the web",
        "power_state": "Running",
        "is_a_template": False,
        "is_a_snapshot": False,
        "is_control_domain": False,
        "snapshot_of": NOTHING,
        "snapshot_time": "19700101T00:00:00Z",
        "snapshots": [],
        "resident_on": "OpaqueRef:h",
        "affinity": NOTHING,
        "memory_dynamic_min": "1024",
        "memory_dynamic_max": "2048",
        "memory_static_min": "512",
        "memory_static_max": "8192",
        "VCPUs_max": "4",
        "VCPUs_at_startup": "3",
        "VCPUs_params": {"weight": "256", "cap": "0", "mask": "0,2"},
        "VIFs": ["OpaqueRef:vif"],
        "VBDs": ["OpaqueRef:vbd"],
        "tags": ["prod"],
        "platform": {"viridian": "true", "cores-per-socket": "2", "exp-nested-hvm": "true"},
        "HVM_boot_policy": "BIOS order",
        "HVM_boot_params": {"firmware": "uefi"},
        "PV_args": "",
        "other_config": {},
        "blocked_operations": {"start": "because"},
        "current_operations": {"OpaqueRef:task": "clean_shutdown", "OpaqueRef:gone": "start"},
        "metrics": "OpaqueRef:vmm",
        "guest_metrics": "OpaqueRef:gm",
        "recommendations": "",
        "xenstore_data": {"a": "b"},
        "bios_strings": {},
        "ha_restart_priority": "restart",
        "start_delay": "5",
        "suspend_SR": "OpaqueRef:nfs",
        "suspend_VDI": NOTHING,
        "parent": NOTHING,
    }


def _guest_metrics() -> dict[str, Any]:
    return {
        "uuid": "gm-uuid",
        "os_version": {"name": "Debian"},
        "PV_drivers_version": {"major": "8", "minor": "2", "micro": "0", "build": "7"},
        "PV_drivers_up_to_date": True,
        "PV_drivers_detected": True,
        "memory": {},
        "networks": {"0/ip": "192.0.2.7 192.0.2.8", "0/ipv4/0": "192.0.2.7", "1/ipv6/0": "fd00::7", "0/mac": "x"},
        "other": {},
    }


def _vbd() -> dict[str, Any]:
    return {
        "uuid": "vbd-uuid",
        "VM": "OpaqueRef:vm",
        "VDI": "OpaqueRef:vdi",
        "device": "",
        "userdevice": "0",
        "bootable": True,
        "mode": "RW",
        "type": "Disk",
        "currently_attached": True,
    }


def _vif() -> dict[str, Any]:
    return {
        "uuid": "vif-uuid",
        "VM": "OpaqueRef:vm",
        "network": "OpaqueRef:net",
        "device": "0",
        "MAC": "00:11:22:33:44:55",
        "MTU": "1500",
        "currently_attached": True,
        "locking_mode": "locked",
        "ipv4_allowed": ["192.0.2.7"],
        "ipv6_allowed": [],
        "other_config": {"ethtool-tx": "off"},
        "qos_algorithm_type": "ratelimit",
        "qos_algorithm_params": {"kbps": "100"},
    }


def vdi_record(name: str, **more: Any) -> dict[str, Any]:
    return {
        "uuid": f"{name}-uuid",
        "name_label": "root",
        "name_description": "",
        "SR": "OpaqueRef:sr",
        "VBDs": [],
        "virtual_size": "8589934592",
        "physical_utilisation": "1000",
        "type": "user",
        "managed": True,
        "missing": False,
        "is_a_snapshot": False,
        "snapshot_of": NOTHING,
        "snapshot_time": "19700101T00:00:00Z",
        "snapshots": [],
        "sm_config": {},
        "other_config": {},
        "current_operations": {},
        "tags": [],
        "cbt_enabled": True,
    } | more


def _sr(name: str, **more: Any) -> dict[str, Any]:
    return {
        "uuid": f"{name}-uuid",
        "name_label": name,
        "name_description": "",
        "VDIs": ["OpaqueRef:vdi"],
        "PBDs": ["OpaqueRef:pbd"],
        "virtual_allocation": "3",
        "physical_utilisation": "2",
        "physical_size": "9007199254740993",
        "type": "lvm",
        "content_type": "user",
        "shared": False,
        "other_config": {},
        "sm_config": {"a": "b"},
        "current_operations": {},
        "tags": [],
    } | more


def _pbd() -> dict[str, Any]:
    return {
        "uuid": "pbd-uuid",
        "host": "OpaqueRef:h",
        "SR": "OpaqueRef:sr",
        "currently_attached": True,
        "device_config": {"device": "/dev/sdb", "chapPassword": "secret", "token": "secret"},
        "other_config": {},
    }


def _network() -> dict[str, Any]:
    return {
        "uuid": "net-uuid",
        "name_label": "lan",
        "name_description": "",
        "bridge": "xenbr0",
        "MTU": "1500",
        "VIFs": ["OpaqueRef:vif"],
        "PIFs": ["OpaqueRef:pif"],
        "other_config": {"automatic": "true"},
        "default_locking_mode": "disabled",
        "purpose": ["nbd"],
        "current_operations": {},
        "tags": [],
    }


def _pif() -> dict[str, Any]:
    return {
        "uuid": "pif-uuid",
        "device": "eth0",
        "host": "OpaqueRef:h",
        "network": "OpaqueRef:net",
        "metrics": "OpaqueRef:pifm",
        "bond_slave_of": NOTHING,
        "bond_master_of": [],
        "MAC": "m",
        "MTU": "1500",
        "VLAN": "-1",
        "IP": "192.0.2.1",
        "netmask": "255.255.255.0",
        "gateway": "g",
        "DNS": "d",
        "IPv6": [],
        "ip_configuration_mode": "DHCP",
        "ipv6_configuration_mode": "None",
        "primary_address_type": "IPv4",
        "physical": True,
        "management": True,
        "currently_attached": True,
        "disallow_unplug": True,
    }


def _task() -> dict[str, Any]:
    return {
        "uuid": "task-uuid",
        "name_label": "Async.VM.clean_shutdown",
        "name_description": "",
        "allowed_operations": ["cancel"],
        "current_operations": {},
        "created": NOW,
        "finished": "19700101T00:00:00Z",
        "status": "pending",
        "progress": 0.25,
        "result": "",
        "resident_on": "OpaqueRef:h",
        "other_config": {"applies_to": "OpaqueRef:vm"},
    }
