"""All other types of XO's objects, field by field."""

from typing import Any

import pytest

from tests.xo.pools import HOST, NOTHING, NOW, NOW_SECONDS, POOL, VM, Records, made, only, small_pool, vdi_record
from xo_warmig.xo.objects import PoolRecords, object_of, objects_of


def common(cls: str, ref: str) -> dict[str, Any]:
    """What every object has."""
    uuid = POOL if cls == "pool" else f"{ref}-uuid"
    return {"id": uuid, "type": cls, "uuid": uuid, "$pool": POOL, "$poolId": POOL, "_xapiRef": f"OpaqueRef:{ref}"}


@pytest.fixture
def pool() -> Records:
    return small_pool()


def test_a_pool(pool: Records) -> None:
    """One without a name goes by its master's; disks of HA that are not known are passed over."""
    assert made(pool, "pool", "pool") == common("pool", "pool") | {
        "auto_poweron": True,
        "default_SR": "nfs-uuid",
        "master": "m-uuid",
        "current_operations": {},
        "HA_enabled": True,
        "haRebootVmOnInternalShutdown": True,
        "haSrs": ["sr-uuid"],
        "tags": ["t"],
        "name_description": "d",
        "name_label": "host m",
        "otherConfig": {"auto_poweron": "true"},
        "cpus": {"cores": 16, "sockets": 2},
        "zstdSupported": True,
        "vtpmSupported": False,
        "platform_version": "3.2.1",
    }


def test_a_host(pool: Records) -> None:
    """What Xen keeps of the memory counts as used."""
    pool["host"]["OpaqueRef:h"]["resident_VMs"] = ["OpaqueRef:vm", "OpaqueRef:gone"]
    record = pool["host"]["OpaqueRef:h"]
    assert made(pool, "host", "h") == common("host", "h") | {
        "address": "192.0.2.1",
        "bios_strings": {},
        "build": "release",
        "version": "8.2.1",
        "productBrand": "XCP-ng",
        "chipset_info": {"iommu": True},
        "enabled": True,
        "cpus": {"cores": 8, "sockets": 1},
        "CPUs": record["cpu_info"],
        "current_operations": {},
        "hostname": "h",
        "iscsiIqn": "",
        "zstdSupported": True,
        "license_params": record["license_params"],
        "license_server": {},
        "license_expiry": 1893456000,
        "logging": {},
        "name_description": "",
        "name_label": "host h",
        "memory": {"size": 2147483648, "usage": 2147482648},
        "multipathing": True,
        "otherConfig": record["other_config"],
        "patches": [],
        "powerOnMode": "wake-on-lan",
        "power_state": "Running",
        "residentVms": [VM, None],
        "startTime": 1767225600,
        "agentStartTime": 1767225700,
        "supplementalPacks": [],
        "rebootRequired": False,
        "tags": [],
        "hvmCapable": True,
        "PIFs": ["pif-uuid"],
        "$PIFs": ["pif-uuid"],
        "PCIs": [],
        "$PCIs": [],
        "PGPUs": [],
        "$PGPUs": [],
        "$PBDs": ["pbd-uuid"],
    }


def test_a_host_that_is_down_or_unknown(pool: Records) -> None:
    """Its power state is what its metrics say."""
    pool["host_metrics"]["OpaqueRef:hm"]["live"] = False
    assert only(made(pool, "host", "h"), "power_state", "memory") == {
        "power_state": "Halted",
        "memory": {"usage": 0, "size": 2147483648},
    }
    assert only(made(pool, "host", "m"), "power_state", "memory") == {
        "power_state": "Unknown",
        "memory": {"usage": 0, "size": 0, "total": 0},
    }


def test_packs_of_a_host_before_7_1(pool: Records) -> None:
    """They stand among its versions."""
    pool["host"]["OpaqueRef:h"]["software_version"] = {
        "platform_version": "1.9.0",
        "xs:xenserver-transfer-vm": "XenServer Transfer VM, version 6.5.0, build 90158c",
    }
    pack = {
        "name": "xenserver-transfer-vm",
        "description": "XenServer Transfer VM",
        "author": "xs",
        "version": "6.5.0,",
    }
    assert made(pool, "host", "h")["supplementalPacks"] == [pack]


def test_packs_of_a_host_since_7_1(pool: Records) -> None:
    """They are updates; those of the vendor's own are patches."""
    update = {
        "name_label": "pack",
        "name_description": "d",
        "key": "a-b-c-author",
        "version": "1.0",
        "after_apply_guidance": ["restartHost"],
        "hosts": ["OpaqueRef:h"],
        "vdi": NOTHING,
        "installation_size": "5",
    }
    pool["pool_update"] = {"OpaqueRef:u": update, "OpaqueRef:v": update | {"name_label": "XS71E001"}}
    pool["host"]["OpaqueRef:h"]["updates"] = ["OpaqueRef:u", "OpaqueRef:v"]
    assert made(pool, "host", "h")["supplementalPacks"] == [
        {
            "name": "pack",
            "description": "d",
            "author": "author",
            "version": "1.0",
            "guidance": ["restartHost"],
            "hosts": [HOST],
            "size": 5,
        }
    ]


@pytest.mark.parametrize(
    ("brand", "patched", "updates", "required"),
    [
        ("XCP-ng", "1767225601", [], True),
        ("XCP-ng", "1767225599", ["u"], False),
        ("XenServer", "1767225601", [], False),
        ("XenServer", "", ["u"], True),
    ],
)
def test_reboots_that_are_due(pool: Records, brand: str, patched: str, updates: list[str], required: bool) -> None:
    """XCP-ng tells when packages were installed, XenServer which updates wait."""
    host = pool["host"]["OpaqueRef:h"]
    host["software_version"]["product_brand"] = brand
    host["other_config"]["rpm_patch_installation_time"] = patched
    host["updates_requiring_reboot"] = updates
    assert made(pool, "host", "h")["rebootRequired"] is required


def test_an_sr(pool: Records) -> None:
    """Sizes are exact above what JavaScript can count."""
    assert made(pool, "SR", "sr") == common("SR", "sr") | {
        "content_type": "user",
        "physical_usage": 2,
        "allocationStrategy": "thick",
        "current_operations": {},
        "inMaintenanceMode": False,
        "name_description": "",
        "name_label": "sr",
        "size": 9007199254740993,
        "shared": False,
        "SR_type": "lvm",
        "tags": [],
        "usage": 3,
        "VDIs": ["vdi-uuid"],
        "other_config": {},
        "sm_config": {"a": "b"},
        "$container": HOST,
        "$PBDs": ["pbd-uuid"],
    }


@pytest.mark.parametrize(
    ("sr_type", "strategy"),
    [("nfs", "thin"), ("zfs", "thin"), ("lvmoiscsi", "thick"), ("iso", None), ("linstor", "thin")],
)
def test_allocation(pool: Records, sr_type: str, strategy: str | None) -> None:
    """By the type; of LINSTOR by the PBD."""
    pool["PBD"]["OpaqueRef:pbd"]["device_config"] = {"provisioning": "thin"}
    pool["SR"]["OpaqueRef:sr"]["type"] = sr_type
    assert made(pool, "SR", "sr").get("allocationStrategy") == strategy


def test_a_shared_sr_is_the_pools(pool: Records) -> None:
    """As is one that no host has."""
    assert made(pool, "SR", "nfs")["$container"] == POOL
    pool["SR"]["OpaqueRef:sr"] |= {"PBDs": [], "other_config": {"xo:maintenanceState": "{}"}}
    assert only(made(pool, "SR", "sr"), "$container", "inMaintenanceMode") == {
        "$container": POOL,
        "inMaintenanceMode": True,
    }


def test_a_pbd(pool: Records) -> None:
    """Passwords are hidden."""
    assert made(pool, "PBD", "pbd") == common("PBD", "pbd") | {
        "attached": True,
        "host": HOST,
        "SR": "sr-uuid",
        "device_config": {"device": "/dev/sdb", "chapPassword": "* obfuscated *", "token": "* obfuscated *"},
        "otherConfig": {},
    }


def test_a_vdi(pool: Records) -> None:
    """What its chain uses is counted down to the root."""
    pool["VDI"]["OpaqueRef:vdi"]["sm_config"] = {"vhd-parent": "base-uuid", "image-format": "vhd"}
    pool["VDI"]["OpaqueRef:base"] = vdi_record("base", managed=False, sm_config={"vhd-parent": "root-uuid"})
    pool["VDI"]["OpaqueRef:root"] = vdi_record("root", managed=False)
    assert made(pool, "VDI", "vdi") == common("VDI", "vdi") | {
        "cbt_enabled": True,
        "missing": False,
        "name_description": "",
        "name_label": "root",
        "parent": "base-uuid",
        "image_format": "vhd",
        "size": 8589934592,
        "snapshots": [],
        "tags": [],
        "usage": 1000,
        "VDI_type": "user",
        "current_operations": {},
        "other_config": {},
        "$SR": "sr-uuid",
        "$VBDs": ["vbd-uuid"],
        "chainPhysicalUsage": 3000,
    }


def test_a_chain_that_bites_its_tail_ends(pool: Records) -> None:
    """A storage manager's mistake stops nobody."""
    pool["VDI"]["OpaqueRef:vdi"]["sm_config"] = {"vhd-parent": "vdi-uuid"}
    assert made(pool, "VDI", "vdi")["chainPhysicalUsage"] == 1000


def test_kinds_of_vdis(pool: Records) -> None:
    """Snapshots have a time; images that no VM sees are unmanaged."""
    pool["VDI"]["OpaqueRef:s"] = vdi_record("s", is_a_snapshot=True, snapshot_of="OpaqueRef:vdi", snapshot_time=NOW)
    pool["VDI"]["OpaqueRef:base"] = vdi_record("base", managed=False)
    fields = ("type", "snapshot_time", "$snapshot_of", "chainPhysicalUsage")
    assert only(made(pool, "VDI", "s"), *fields) == {
        "type": "VDI-snapshot",
        "snapshot_time": NOW_SECONDS,
        "$snapshot_of": "vdi-uuid",
    }
    assert only(made(pool, "VDI", "base"), *fields) == {"type": "VDI-unmanaged"}


def test_a_vbd(pool: Records) -> None:
    """No device is null, not empty; an empty drive has no VDI."""
    assert made(pool, "VBD", "vbd") == common("VBD", "vbd") | {
        "attached": True,
        "bootable": True,
        "device": None,
        "is_cd_drive": False,
        "position": "0",
        "read_only": False,
        "VDI": "vdi-uuid",
        "VM": VM,
    }
    pool["VBD"]["OpaqueRef:vbd"] |= {"VDI": NOTHING, "type": "CD", "mode": "RO", "device": "xvdd"}
    assert only(made(pool, "VBD", "vbd"), "VDI", "is_cd_drive", "read_only", "device") == {
        "is_cd_drive": True,
        "read_only": True,
        "device": "xvdd",
    }


def test_a_vif(pool: Records) -> None:
    """Its rate in kB/s where there is a limit."""
    assert made(pool, "VIF", "vif") == common("VIF", "vif") | {
        "allowedIpv4Addresses": ["192.0.2.7"],
        "allowedIpv6Addresses": [],
        "attached": True,
        "device": "0",
        "lockingMode": "locked",
        "MAC": "00:11:22:33:44:55",
        "MTU": 1500,
        "other_config": {"ethtool-tx": "off"},
        "txChecksumming": False,
        "rateLimit": 100,
        "$network": "net-uuid",
        "$VM": VM,
    }
    pool["VIF"]["OpaqueRef:vif"] |= {"qos_algorithm_type": "", "other_config": {}}
    assert only(made(pool, "VIF", "vif"), "rateLimit", "txChecksumming") == {"txChecksumming": True}


def test_a_network(pool: Records) -> None:
    """Releases without purposes say nothing of NBD."""
    assert made(pool, "network", "net") == common("network", "net") | {
        "automatic": True,
        "bridge": "xenbr0",
        "current_operations": {},
        "defaultIsLocked": True,
        "MTU": 1500,
        "name_description": "",
        "name_label": "lan",
        "other_config": {"automatic": "true"},
        "tags": [],
        "PIFs": ["pif-uuid"],
        "VIFs": ["vif-uuid"],
        "nbd": True,
        "insecureNbd": False,
        "isBonded": False,
    }
    del pool["network"]["OpaqueRef:net"]["purpose"]
    assert not {"nbd", "insecureNbd"} & made(pool, "network", "net").keys()


def test_a_pif(pool: Records) -> None:
    """Without metrics there is no carrier, speed or name."""
    whole = common("PIF", "pif") | {
        "attached": True,
        "isBondMaster": False,
        "isBondSlave": False,
        "device": "eth0",
        "deviceName": "BCM",
        "dns": "d",
        "disallowUnplug": True,
        "gateway": "g",
        "ip": "192.0.2.1",
        "ipv6": [],
        "mac": "m",
        "management": True,
        "carrier": True,
        "mode": "DHCP",
        "ipv6Mode": "None",
        "mtu": 1500,
        "netmask": "255.255.255.0",
        "physical": True,
        "primaryAddressType": "IPv4",
        "vlan": -1,
        "speed": 1000,
        "$host": HOST,
        "$network": "net-uuid",
    }
    assert made(pool, "PIF", "pif") == whole
    pool["PIF_metrics"].clear()
    for field in ("deviceName", "speed"):
        del whole[field]
    assert made(pool, "PIF", "pif") == whole | {"carrier": False}


def test_bonds(pool: Records) -> None:
    """A PIF that stands for others knows them, they know it, and the networks of both are bonded."""
    pif = pool["PIF"]["OpaqueRef:pif"]
    pool["PIF"]["OpaqueRef:slave"] = pif | {"uuid": "slave-uuid", "bond_slave_of": "OpaqueRef:bond"}
    pif["bond_master_of"] = ["OpaqueRef:bond"]
    pool["Bond"] = {"OpaqueRef:bond": {"uuid": "b", "master": "OpaqueRef:pif", "slaves": ["OpaqueRef:slave"]}}
    fields = ("isBondMaster", "isBondSlave", "bondMaster", "bondSlaves")
    assert only(made(pool, "PIF", "pif"), *fields) == {
        "isBondMaster": True,
        "isBondSlave": False,
        "bondSlaves": ["slave-uuid"],
    }
    assert only(made(pool, "PIF", "slave"), *fields) == {
        "isBondMaster": False,
        "isBondSlave": True,
        "bondMaster": "pif-uuid",
    }
    assert made(pool, "network", "net")["isBonded"] is True


def test_a_task(pool: Records) -> None:
    """What it applies to is told by uuid."""
    assert made(pool, "task", "task") == common("task", "task") | {
        "allowedOperations": ["cancel"],
        "created": NOW_SECONDS,
        "current_operations": {},
        "finished": None,
        "name_description": "",
        "name_label": "Async.VM.clean_shutdown",
        "progress": 0.25,
        "result": "",
        "status": "pending",
        "xapiRef": "OpaqueRef:task",
        "applies_to": VM,
        "$host": HOST,
    }


def test_a_message(pool: Records) -> None:
    """It names its object by uuid already."""
    assert made(pool, "message", "msg") == common("message", "msg") | {
        "body": "b",
        "name": "VM_STARTED",
        "time": NOW_SECONDS,
        "$object": VM,
    }


def test_what_is_no_object(pool: Records) -> None:
    """Classes without objects, and records that are gone."""
    records = PoolRecords(pool)
    assert object_of("VM_metrics", "OpaqueRef:vmm", records) is None
    assert object_of("VM", "OpaqueRef:gone", records) is None


@pytest.mark.parametrize("cls", sorted(small_pool()))
def test_any_class_may_be_missing(pool: Records, cls: str) -> None:
    """Objects are made of what is known so far."""
    del pool[cls]
    assert all(one["id"] for one in objects_of(PoolRecords(pool)).values())
