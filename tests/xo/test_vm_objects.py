"""VMs as XO's objects, field by field."""

from typing import Any

import pytest

from tests.xo.pools import HOST, NOTHING, NOW, NOW_SECONDS, POOL, VM, Records, made, only, small_pool


@pytest.fixture
def pool() -> Records:
    return small_pool()


def test_a_running_vm(pool: Records) -> None:
    """Every field."""
    assert made(pool, "VM", "vm") == {
        "id": VM,
        "type": "VM",
        "uuid": VM,
        "$pool": POOL,
        "$poolId": POOL,
        "_xapiRef": "OpaqueRef:vm",
        "name_label": "web",
        "name_description": "the web",
        "power_state": "Running",
        "tags": ["prod"],
        "addresses": {"0/ipv4/0": "192.0.2.7", "0/ipv4/1": "192.0.2.8", "1/ipv6/0": "fd00::7"},
        "mainIpAddress": "192.0.2.7 192.0.2.8",
        "auto_poweron": False,
        "bios_strings": {},
        "blockedOperations": {"start": "because"},
        "boot": {"firmware": "uefi"},
        "CPUs": {"max": 4, "number": 2},
        "cpuCap": 0,
        "cpuMask": [0, 2],
        "cpuWeight": 256,
        "coresPerSocket": 2,
        "current_operations": {"task-uuid": "clean_shutdown"},
        "expNestedHvm": True,
        "isNestedVirtEnabled": True,
        "vulnerabilities": {"xsa468": False},
        "viridian": True,
        "secureBoot": False,
        "needsVtpm": False,
        "high_availability": "restart",
        "isFirmwareSupported": True,
        "memory": {"dynamic": [1024, 2048], "static": [512, 8192], "size": 4096},
        "installTime": None,
        "startTime": NOW_SECONDS,
        "other": {},
        "os_version": {"name": "Debian"},
        "snapshots": [],
        "startDelay": 5,
        "suspendSr": "nfs-uuid",
        "VIFs": ["vif-uuid"],
        "VTPMs": [],
        "$VBDs": ["vbd-uuid"],
        "VGPUs": [],
        "$VGPUs": [],
        "virtualizationMode": "hvm",
        "xenTools": {"major": 8, "minor": 2, "version": 8.2},
        "managementAgentDetected": True,
        "pvDriversDetected": True,
        "pvDriversVersion": "8.2.0-7",
        "pvDriversUpToDate": True,
        "xenStoreData": {"a": "b"},
        "vga": "cirrus",
        "videoram": 4,
        "$container": HOST,
    }


def test_a_halted_vm(pool: Records) -> None:
    """Nothing is known of its tools; it has the memory and CPUs that it would start with."""
    pool["VM"]["OpaqueRef:vm"] |= {"power_state": "Halted", "resident_on": NOTHING, "guest_metrics": NOTHING}
    vm = made(pool, "VM", "vm")
    assert not {"xenTools", "pvDriversDetected", "managementAgentDetected", "mainIpAddress"} & vm.keys()
    assert only(vm, "CPUs", "addresses", "os_version") == {
        "CPUs": {"max": 4, "number": 3},
        "addresses": {},
        "os_version": None,
    }
    assert vm["memory"]["size"] == 2048


@pytest.mark.parametrize(
    ("shared", "pbds", "container"),
    [(False, ["OpaqueRef:pbd"], HOST), (True, ["OpaqueRef:pbd"], POOL), (False, [], POOL)],
)
def test_a_halted_vm_is_where_its_disks_are(pool: Records, shared: bool, pbds: list[str], container: str) -> None:
    """On the host of an SR that is not shared, else in the pool."""
    pool["VM"]["OpaqueRef:vm"] |= {"power_state": "Halted", "resident_on": NOTHING}
    pool["SR"]["OpaqueRef:sr"] |= {"shared": shared, "PBDs": pbds}
    assert made(pool, "VM", "vm")["$container"] == container


def test_a_running_guest_tells_its_memory(pool: Records) -> None:
    """Where the agent reports it."""
    pool["VM_guest_metrics"]["OpaqueRef:gm"]["memory"] = {"used": "10", "total": "20"}
    assert only(made(pool, "VM", "vm")["memory"], "usage", "size") == {"usage": 10, "size": 20}


@pytest.mark.parametrize(
    ("version", "detected", "expected"),
    [
        ({}, False, {"xenTools": False, "managementAgentDetected": False, "pvDriversDetected": False}),
        ({}, None, {"xenTools": False, "managementAgentDetected": False, "pvDriversDetected": False}),
        (
            {"major": "6", "minor": "5"},
            None,
            {
                "xenTools": {"major": 6, "minor": 5, "version": 6.5},
                "managementAgentDetected": True,
                "pvDriversDetected": True,
                "pvDriversVersion": "6.5",
                "pvDriversUpToDate": True,
            },
        ),
    ],
)
def test_tools(pool: Records, version: dict[str, str], detected: bool | None, expected: dict[str, Any]) -> None:
    """None, and on releases that do not say whether they were detected."""
    guest = pool["VM_guest_metrics"]["OpaqueRef:gm"]
    guest |= {"PV_drivers_version": version, "PV_drivers_detected": detected}
    if detected is None:
        del guest["PV_drivers_detected"]
    fields = ("xenTools", "managementAgentDetected", "pvDriversDetected", "pvDriversVersion", "pvDriversUpToDate")
    assert only(made(pool, "VM", "vm"), *fields) == expected


def test_what_other_config_says(pool: Records) -> None:
    """Notes, who made it (under its own uuid only), resource set, PCI devices, and power-on."""
    pool["VM"]["OpaqueRef:vm"]["other_config"] = {
        "auto_poweron": "true",
        "xo:notes": "n",
        "xo:abcdef01": '{"creation": {"user": "u"}}',
        "xo:resource_set": '"rs"',
        "pci": "0/0000:04:01.0,0/0000:00:19.0",
        "xscontainer-monitor": "False",
    }
    assert only(
        made(pool, "VM", "vm"), "auto_poweron", "notes", "creation", "resourceSet", "attachedPcis", "docker"
    ) == {
        "auto_poweron": True,
        "notes": "n",
        "creation": {"user": "u"},
        "resourceSet": "rs",
        "attachedPcis": ["0000:04:01.0", "0000:00:19.0"],
        "docker": {"enabled": False},
    }


def test_docker(pool: Records) -> None:
    """XML becomes maps; one container is a list too."""
    pool["VM"]["OpaqueRef:vm"]["other_config"] = {
        "xscontainer-monitor": "True",
        "docker_ps": "<docker_ps><item><entry><names>web</names></entry></item></docker_ps>",
        "docker_info": "<docker_info><containers>1</containers></docker_info>",
        "docker_version": "not <xml",
    }
    assert made(pool, "VM", "vm")["docker"] == {
        "enabled": True,
        "containers": [{"entry": {"names": "web"}}],
        "process": {"item": {"entry": {"names": "web"}}},
        "info": {"containers": "1"},
    }


def test_broken_json_is_left_out(pool: Records) -> None:
    """Anybody may write to other_config."""
    pool["VM"]["OpaqueRef:vm"]["other_config"] = {"xo:abcdef01": "{", "xo:resource_set": "{"}
    assert only(made(pool, "VM", "vm"), "creation", "resourceSet") == {}


@pytest.mark.parametrize(
    ("domain_type", "policy", "mode"),
    [("pvh", "", "pvh"), ("unspecified", "", "pv"), ("unspecified", "BIOS order", "hvm"), (None, "", "pv")],
)
def test_virtualization_mode(pool: Records, domain_type: str | None, policy: str, mode: str) -> None:
    """From the boot policy where the type is not known; what belongs to the other modes is not there."""
    pool["VM"]["OpaqueRef:vm"] |= {"HVM_boot_policy": policy} | ({"domain_type": domain_type} if domain_type else {})
    vm = made(pool, "VM", "vm")
    assert vm["virtualizationMode"] == mode
    assert ("vga" in vm, "videoram" in vm, "PV_args" in vm) == (
        (True, True, False) if mode == "hvm" else (False, False, True)
    )


@pytest.mark.parametrize(
    ("firmware", "recommendations", "supported"),
    [
        ("uefi", '<restrictions><restriction field="supports-uefi" value="no"/></restrictions>', False),
        (
            "uefi",
            '<restrictions><restriction field="supports-uefi" value="yes"/><restriction field="x"/></restrictions>',
            True,
        ),
        ("bios", '<restrictions><restriction field="supports-uefi" value="no"/></restrictions>', True),
        ("uefi", "<restrictions supports-uefi", True),
    ],
)
def test_firmware(pool: Records, firmware: str, recommendations: str, supported: bool) -> None:
    """Supported unless the recommendations say no."""
    pool["VM"]["OpaqueRef:vm"] |= {
        "HVM_boot_params": {"firmware": firmware},
        "recommendations": recommendations,
    }
    assert made(pool, "VM", "vm")["isFirmwareSupported"] is supported


def test_nested_virtualization_has_a_new_name_from_8_3_on(pool: Records) -> None:
    """By the platform version of the master."""
    pool["host"]["OpaqueRef:m"]["software_version"]["platform_version"] = "3.4.0"
    assert made(pool, "VM", "vm")["isNestedVirtEnabled"] is False
    pool["VM"]["OpaqueRef:vm"]["platform"]["nested-virt"] = "true"
    assert made(pool, "VM", "vm")["isNestedVirtEnabled"] is True


@pytest.mark.parametrize(
    ("drivers", "expected"),
    [
        (
            {"xenbus": "XenServer 9.1.11.114 "},
            {"reason": "pv-driver-version-vulnerable", "driver": "xenbus", "version": "9.1.11.114"},
        ),
        ({"xenbus": "XenServer 9.1.11.115 "}, False),
        ({"xeniface": "XCP_ng 9.0.9049.0"}, False),
        ({"major": "9", "minor": "4"}, {"reason": "no-pv-drivers-detected"}),
        ({"xenbus": "Somebody 1.0"}, {"reason": "no-pv-drivers-detected"}),
    ],
)
def test_drivers_open_to_xsa_468(pool: Records, drivers: dict[str, str], expected: Any) -> None:
    """Told of Windows guests only."""
    pool["VM_guest_metrics"]["OpaqueRef:gm"]["PV_drivers_version"] = drivers
    assert made(pool, "VM", "vm")["vulnerabilities"] == {"xsa468": False}
    pool["VM"]["OpaqueRef:vm"]["platform"]["device_id"] = "0002"
    assert made(pool, "VM", "vm")["vulnerabilities"] == {"xsa468": expected}


def test_a_snapshot(pool: Records) -> None:
    """With its time and what it was taken of; no vulnerabilities."""
    pool["VM"]["OpaqueRef:s"] = pool["VM"]["OpaqueRef:vm"] | {
        "uuid": "s-uuid",
        "is_a_snapshot": True,
        "is_a_template": True,
        "snapshot_of": "OpaqueRef:vm",
        "snapshot_time": NOW,
        "suspend_VDI": "OpaqueRef:vdi",
    }
    snapshot = made(pool, "VM", "s")
    assert only(snapshot, "type", "snapshot_time", "$snapshot_of", "suspendVdi", "vulnerabilities") == {
        "type": "VM-snapshot",
        "snapshot_time": NOW_SECONDS,
        "$snapshot_of": VM,
        "suspendVdi": "vdi-uuid",
    }


@pytest.mark.parametrize(
    ("fields", "vm_type"),
    [
        ({"is_control_domain": True, "is_a_template": True}, "VM-controller"),
        ({"is_a_snapshot": True, "is_a_template": True}, "VM-snapshot"),
        ({"snapshot_of": "OpaqueRef:vm", "is_a_template": True}, "VM-snapshot"),
        ({"snapshot_of": "OpaqueRef:gone", "is_a_template": True}, "VM-template"),
        ({}, "VM"),
    ],
)
def test_kinds_of_vms(pool: Records, fields: dict[str, Any], vm_type: str) -> None:
    """Tested in XO's order."""
    pool["VM"]["OpaqueRef:x"] = pool["VM"]["OpaqueRef:vm"] | {"uuid": "x-uuid"} | fields
    assert made(pool, "VM", "x")["type"] == vm_type


@pytest.mark.parametrize("by_default", [True, False])
def test_a_template(pool: Records, by_default: bool) -> None:
    """Default ones have the pool in their id."""
    pool["VM"]["OpaqueRef:vm"] |= {"is_a_template": True, "is_default_template": by_default, "power_state": "Halted"}
    pool["VM"]["OpaqueRef:vm"]["other_config"] = {
        "install-arch": "amd64",
        "install-methods": "cdrom,http",
        "disks": '<provision><disk device="0" size="10737418240" sr="" bootable="true" type="system"/></provision>',
    }
    assert only(made(pool, "VM", "vm"), "id", "uuid", "type", "isDefaultTemplate", "template_info") == {
        "id": f"{POOL}-{VM}" if by_default else VM,
        "uuid": VM,
        "type": "VM-template",
        "isDefaultTemplate": by_default,
        "template_info": {
            "arch": "amd64",
            "disks": [{"device": "0", "size": 10737418240, "SR": "", "bootable": True, "type": "system"}],
            "install_methods": ["cdrom", "http"],
        },
    }
