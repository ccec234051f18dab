"""Every code that a plan's finding may have: what brings it about, its severity, and that the list of codes is whole."""

import ast
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.replication.test_preflight import NETWORKS, VIF, disks, look
from tests.sources import tree
from xo_warmig.formats.vhd import MOST_SIZE_BYTES
from xo_warmig.model.encryption import NOT_ENCRYPTED, Encryption
from xo_warmig.model.finding_codes import CODES
from xo_warmig.model.findings import Severity
from xo_warmig.model.images import QCOW2, VHD
from xo_warmig.model.pools import Host, PoolFacts, Twin
from xo_warmig.model.requests import ForceShutdown, ShutdownPolicy, Transport, Verify
from xo_warmig.model.units import GIB, TIB
from xo_warmig.model.vm import Build, CdDrive, GuestAddress, Network, PowerState, Ties
from xo_warmig.replication.preflight import Preflight

PACKAGE = Path(__file__).parents[2] / "xo_warmig"
# Told by the plan beside what the preflight finds: tests/engine.
OF_THE_PLAN = {"DOWNTIME_OVER_BUDGET", "COPY_REUSED", "COPY_NOT_REUSED", "SAMPLE_OF_EXPORT_HEAD", "LIMIT_WITHOUT_POOL"}
HALTED = {"power_state": PowerState.HALTED}
HOST = Host(
    uuid="host-1",
    name_label="host 1",
    memory_total_bytes=64 * GIB,
    memory_free_bytes=32 * GIB,
    cpus=8,
    capabilities=["hvm-3.0-x86_64"],
    hardware_versions=[0, 1, 2],
    srs=["sr-target"],
    networks=["net-target"],
)
MAKER = {"bios-vendor": "Dell Inc.", "system-manufacturer": "Dell Inc."}
ADDRESSED = msgspec.structs.replace(VIF, ipv4=GuestAddress(mode="Static", address="192.0.2.7/24"))
LARGE = disks(virtual_size_bytes=3 * TIB, image_format=QCOW2)
OTHER = disks(image_format=QCOW2)  # that a VHD could hold
WIDE = {"physical_size_bytes": 20 * TIB, "free_bytes": 10 * TIB}


def target(**facts: Any) -> dict[str, Any]:
    """With these facts of the target's pool."""
    return {"around_more": {"target_facts": PoolFacts(**facts)}}


def host(**changes: Any) -> dict[str, Any]:
    """With one host, changed so."""
    return target(hosts=[msgspec.structs.replace(HOST, **changes)])


def build(**changes: Any) -> dict[str, Any]:
    """The VM, built so."""
    return {"vm": {"build": Build(**changes)}}


def ties(**changes: Any) -> dict[str, Any]:
    """The VM, tied so."""
    return {"vm": {"ties": Ties(**changes)}}


def twin(**changes: Any) -> dict[str, Any]:
    """With a VM on the target's pool that has the same address."""
    fields: dict[str, Any] = {"vm": "vm-9", "name_label": "other", "running": True, "mac": VIF.mac}
    return {"around_more": {"twins": [Twin(**(fields | changes))]}}


def spoken(**changes: Any) -> dict[str, Any]:
    """With the target's pool spoken to as with a host of today, changed so."""
    return spoken_of(changes)


def spoken_of(changes: dict[str, Any], **of_target: Any) -> dict[str, Any]:
    """With more facts of it."""
    fields: dict[str, Any] = {
        "protocol": "TLSv1.2",
        "cipher": "ECDHE-RSA-AES256-GCM-SHA384",
        "forward_secrecy": True,
        "key_type": "RSA",
        "key_bits": 2048,
        "signature_hash": "sha256",
    }
    return target(encryption=Encryption(**(fields | changes)), **of_target)


def facts(source: dict[str, Any], of_target: dict[str, Any]) -> dict[str, Any]:
    return {"around_more": {"source_facts": PoolFacts(**source), "target_facts": PoolFacts(**of_target)}}


CASES: dict[str, dict[str, Any]] = {
    "BAD_CUTOVER": {"cutover": "soon"},
    "CUTOVER_IN_THE_PAST": {"cutover": "2020-01-01T00:00:00Z", "around_more": {"now": 2e9}},
    "DELETE_WITHOUT_START": {"start_destination_vm": False, "delete_source_vm": True},
    "UNKNOWN_DISK": {"map_vdis_srs": {"nothing": "sr-target"}},
    "UNKNOWN_VIF": {"map_vifs_networks": {"nothing": "net-other"}},
    "BAD_MAC_ADDRESS": {"mac_addresses": {"vif-1": "01:00:5e:00:00:01"}},
    "MAC_ADDRESS_TWICE": {
        "vm": {"vifs": [VIF, msgspec.structs.replace(VIF, uuid="vif-2", device="1", mac="00:16:3e:00:00:02")]},
        "mac_addresses": {"vif-1": "00:16:3e:00:00:02"},
    },
    "NO_SUCH_OBJECT": {"map_vifs_networks": {"vif-1": "nowhere"}},
    "SR_IN_OTHER_POOL": {"map_vdis_srs": {"disk-0": "elsewhere"}},
    "FORCE_NEEDED": facts({"srs": ["sr-source"]}, {"srs": ["sr-source"]}),
    "NOT_A_VM": {"vm": {"is_a_template": True}},
    "VM_BAD_POWER_STATE": {"vm": {"power_state": PowerState.SUSPENDED}},
    "OTHER_OPERATION_IN_PROGRESS": {"vm": {"current_operations": ["clean_reboot"]}},
    "VM_CHANGING": {"vm": {"current_operations": ["changing_VCPUs_live"]}},
    "OPERATION_BLOCKED": {"vm": {"blocked_operations": {"clean_shutdown": "no"}}},
    "OPERATION_BLOCKED_BY_USER": {"vm": {"blocked_operations": {"snapshot": "no"}}},
    "ALREADY_MIGRATED": {"vm": HALTED | {"blocked_operations": {"start": "xo_warmig migration x: moved"}}},
    "SOURCE_CLAIMED": {"vm": {"other_config": {"xo_warmig:door": "m/1/r/vm-1"}}},
    "NO_GUEST_TOOLS": {"vm": {"tools": False}},
    "SHUTDOWN_BY_HAND": {"vm": {"tools": False}, "shutdown": ShutdownPolicy(force=ForceShutdown.NEVER)},
    "POWER_NOT_CUT": {"vm": OTHER, "shutdown": ShutdownPolicy(force=ForceShutdown.ALWAYS)},
    "ONE_PASS": {"vm": HALTED},
    "SNAPSHOTS_STAY": {"vm": {"snapshots": ["snap-1", "snap-2"], "checkpoints": ["snap-2"]}},
    "SOURCE_WILL_BE_KEPT": {"vm": {"snapshots": ["snap-1"]}, "delete_source_vm": True},
    "DISK_SHARABLE": {"vm": disks(sharable=True)},
    "DISK_SHARED": {"vm": disks(other_vms=["vm-2"])},
    "DISK_RESET_ON_BOOT": {"vm": disks(on_boot="reset")},
    "DISK_MISSING": {"vm": disks(missing=True)},
    "CHAIN_TOO_LONG": {"vm": disks(chain_depth=26)},
    "CHAIN_NOT_COALESCED": {"vm": disks(unmerged=6)},
    "DISK_BUSY": {"vm": disks(current_operations=["snapshot", "copy"])},
    "DISK_READ_ONLY": {"vm": disks(mode="RO")},
    "DISK_MARKED_FOR_BACKUPS": {"vm": disks(name_label="[NOBAK] swap")},
    "DISK_TOO_LARGE": {"vm": LARGE, "sr": WIDE, "around_more": {"against_blocks": {"disk-0": "no NBD"}}},
    "DISK_TOO_LARGE_FOR_SR": {"vm": LARGE, "sr": WIDE | {"most_disk_bytes": MOST_SIZE_BYTES}},
    "DISK_TOO_LARGE_FOR_RELEASE": {"vm": LARGE, "sr": WIDE, **target(xapi_version=(1, 249))},
    "LARGE_DISK_NEEDS_TOOLS": {"vm": LARGE | {"tools": False}, "sr": WIDE},
    "SNAPSHOT_NOT_SUPPORTED": {"source_sr": {"takes_snapshots": False}},
    "IMAGE_NEEDS_NBD": {"vm": OTHER, "around_more": {"against_blocks": {"disk-0": "no NBD"}}},
    "IMAGE_NEEDS_TOOLS": {"vm": OTHER | {"tools": False}},
    "WHOLE_DISK_READ": {"vm": disks(virtual_size_bytes=3 * TIB), "sr": WIDE},
    "IMAGE_FORMAT_CHANGES": {"vm": OTHER, "sr": {"image_formats": [VHD, QCOW2]}},
    "NBD_NOT_SERVED": {"transport": Transport.NBD, "around_more": {"against_blocks": {"disk-0": "no NBD"}}},
    "NBD_NEEDS_TOOLS": {"vm": {"tools": False}, "transport": Transport.NBD},
    "TRACKING_NEEDED": {"transport": Transport.NBD, **facts({"restrictions": {"restrict_cbt": "true"}}, {})},
    "NO_NBD": {"around_more": {"against_blocks": {"disk-0": "no network", "disk-1": "no network"}}},
    "NO_TRACKING": {"source_sr": {"tracks_changes": False}},
    "READ_BACK_NEEDS_NBD": {
        "vm": LARGE,
        "sr": WIDE,
        "verify": Verify.FULL,
        "against_read_back": "no NBD",
        "force": True,
    },
    "READ_BACK_IN_DOWNTIME": {"verify": Verify.FULL, "against_read_back": "no NBD", "force": True},
    "NOT_READ_BACK": {"vm": LARGE, "sr": WIDE, "against_read_back": "no NBD"},
    "SR_NOT_WRITABLE": {"sr": {"plugged": False}},
    "SR_NOT_READABLE": {"source_sr": {"plugged": False}},
    "SAME_SR": {"vm": disks(sr="sr-target")},
    "DISK_STAYS_ON_SR": {"vm": disks(sr="sr-target") | {"pool": "pool-target"}},
    "SR_GOING": {"sr": {"current_operations": ["forget"]}},
    "SR_BUSY": {"sr": {"current_operations": ["scan"]}},
    "NO_SPACE": {"sr": {"free_bytes": 20 * GIB}, "around_more": {"promised": {"sr-target": 7 * GIB}}},
    "SR_OVERCOMMITTED": {"sr": {"allocated_bytes": 990 * GIB}},
    "SR_NOT_ZEROED": {"sr": {"reads_as_zero": False}},
    "SR_NOT_EVERYWHERE": target(
        hosts=[
            HOST,
            msgspec.structs.replace(HOST, uuid="host-2", name_label="host 2", srs=[], srs_unplugged=["sr-target"]),
        ]
    ),
    "SR_ON_BOTH_POOLS": facts({"srs": ["sr-source"]}, {"srs": ["sr-source", "sr-target"]}) | {"force": True},
    "NO_NETWORK_MATCH": {"networks": [NETWORKS[1]]},
    "NETWORK_WITHOUT_INTERFACE": {
        "networks": [Network(uuid="net-inside", name_label="inside", vlan=None)],
        "map_vifs_networks": {"vif-1": "net-inside"},
    },
    "SMALLER_MTU": {
        "vm": {"networks": {"net-source": Network(uuid="net-source", name_label="lan", vlan=7, mtu=9000)}},
        "networks": [Network(uuid="net-target", name_label="lan", vlan=7, mtu=1500)],
    },
    "VIF_LOCKING_RESTRICTED": {
        "vm": {"vifs": [msgspec.structs.replace(VIF, ipv4_allowed=["192.0.2.1"])]},
        **target(restrictions={"restrict_vif_locking": "true"}),
    },
    "ADDRESSES_SET_LATE": {"vm": {"vifs": [ADDRESSED]}},
    "ADDRESSES_STAY": {"vm": {"vifs": [ADDRESSED]}, **target(restrictions={"restrict_guest_ip_setting": "true"})},
    "MAC_IN_USE": twin(),
    "MAC_OF_HALTED_VM": twin(running=False),
    "MAC_SEED_IN_USE": twin(mac=None),
    "MAC_CHANGES": {"mac_addresses": "new"},
    "NO_HOST_CAN_START": build(vcpus=16) | host(),
    "NO_HOST_COULD_START": build(vcpus=16) | host() | {"start_destination_vm": False},
    "NO_HOST_HAS_MEMORY": build(memory_start_bytes=33 * GIB) | host(),
    "LICENCE_FORBIDS_START": target(restrictions={"restrict_vm_start": "true"}),
    "UEFI_NOT_SUPPORTED": build(firmware="uefi") | target(api_version=(2, 11)),
    "VTPM_NOT_SUPPORTED": {"vm": {"vtpms": 1}, **target(xapi_version=(1, 249))},
    "VTPM_NEEDS_ROOT": {"vm": {"vtpms": 1}, "around_more": {"against_vtpm_contents": "lab: not root"}},
    "VENDOR_DEVICE_RESTRICTED": build(vendor_device=True)
    | target(xapi_version=(1, 249), restrictions={"restrict_pci_device_for_auto_update": "true"}),
    "NESTED_VIRT_RESTRICTED": build(nested_virt=True) | target(restrictions={"restrict_nested_virt": "true"}),
    "VCPU_TOPOLOGY": build(domain_type="hvm", vcpus=3, cores_per_socket="2") | target(api_version=(2, 6)),
    "NO_SECURE_BOOT_CERTIFICATES": build(firmware="uefi", secure_boot=True) | target(certificates=False),
    "SECURE_BOOT_CHANGES": build(firmware="uefi", secure_boot_auto=True)
    | facts({"certificates": True}, {"certificates": False}),
    "BIOS_STRINGS_LENT": build(bios_strings=MAKER)
    | target(api_version=(2, 6), hosts=[msgspec.structs.replace(HOST, bios_strings=MAKER)]),
    "BIOS_STRINGS_LOST": build(bios_strings={"system-serial-number": "42"}) | target(api_version=(2, 6)),
    "PVH_NOT_SUPPORTED": build(domain_type="pvh") | target(api_version=(2, 12)),
    "PV_WITHOUT_PVH": build(domain_type="pv_in_pvh") | target(api_version=(2, 6)),
    "PV_GUEST": build(domain_type="pv") | target(api_version=(2, 21)),
    "DEVICE_MODEL_REPLACED": build(domain_type="hvm") | facts({"api_version": (2, 3)}, {"api_version": (2, 21)}),
    "OLDER_RELEASE": facts({"api_version": (2, 21)}, {"api_version": (2, 15)}),
    "HA_OFF_ON_TARGET": {"vm": {"ha_restart_priority": "restart"}, **target(ha_enabled=False)},
    "HA_NEEDS_SHARED_SR": {"vm": {"ha_restart_priority": "restart"}, **target(ha_enabled=True)},
    "POOL_UPGRADING": facts({"upgrading": True}, {}),
    "CLOCK_SKEW": target(clock_ahead_seconds=-90.0),
    "POOL_IN_CLEAR": target(encryption=NOT_ENCRYPTED),
    "NBD_IN_CLEAR": spoken_of({}, nbd_in_clear=True),
    "OLD_TLS": spoken(protocol="TLSv1.1"),
    "NO_FORWARD_SECRECY": spoken(cipher="AES128-SHA256", forward_secrecy=False),
    "WEAK_HOST_KEY": spoken(key_bits=1024),
    "WEAK_CERTIFICATE_SIGNATURE": spoken(signature_hash="sha1"),
    "DISK_POSITION": {"vm": disks(device="16"), **target(api_version=(2, 3))},
    "VIF_POSITION": {"vm": {"vifs": [msgspec.structs.replace(VIF, device="7")]}, **target(api_version=(2, 15))},
    "PCI_STAYS": ties(pci=["0000:04:00.0"]),
    "VGPU_STAYS": ties(vgpus=1),
    "VUSB_STAYS": ties(vusbs=1),
    "CD_STAYS": {"vm": {"cd_drives": [CdDrive(device="3", inserted_vdi="iso")]}},
    "AFFINITY_STAYS": ties(affinity=True),
    "CPU_MASK_STAYS": ties(cpu_mask="0,1"),
    "APPLIANCE_STAYS": ties(appliance=True),
    "GROUP_STAYS": ties(groups=1),
    "SCHEDULE_STAYS": ties(snapshot_schedule=True),
}
# What else is found where it is.
WITH_IT: dict[str, set[str]] = {
    "FORCE_NEEDED": {"SR_ON_BOTH_POOLS"},
    "LARGE_DISK_NEEDS_TOOLS": {"NO_GUEST_TOOLS"},
    "IMAGE_NEEDS_NBD": {"WHOLE_DISK_READ"},
    "IMAGE_NEEDS_TOOLS": {"NO_GUEST_TOOLS"},
    "NBD_NEEDS_TOOLS": {"NO_GUEST_TOOLS"},
    "READ_BACK_NEEDS_NBD": {"NOT_READ_BACK"},
    "ALREADY_MIGRATED": {"ONE_PASS"},
    "BAD_MAC_ADDRESS": {"MAC_CHANGES"},
    "MAC_ADDRESS_TWICE": {"MAC_CHANGES"},
}


def found(flight: Preflight) -> dict[str, Severity]:
    """Codes with their severities."""
    told: list[tuple[str, Severity]] = [(each.code, Severity.ERROR) for each in flight.errors]
    told += [(each.code, Severity.WARNING) for each in flight.warnings]
    told += [(each.code, Severity.INFO) for each in flight.notes]
    return dict(told)


@pytest.mark.parametrize("code", CASES)
def test_each_code_has_something_that_brings_it_about(code: str) -> None:
    """With the severity that the list gives; an error leaves no plan; and nothing but what belongs to it is found."""
    flight = look(**CASES[code])
    severities = found(flight)
    assert severities[code] is CODES[code].severity
    assert (flight.plan is None) is (Severity.ERROR in severities.values())
    assert severities.keys() - {code} == WITH_IT.get(code, set())


def test_nothing_is_found_where_nothing_is_told() -> None:
    """A pool that tells nothing of itself, as old releases do of much, stands in no way."""
    assert found(look()) == {}
    assert found(look(**host())) == {}
    assert found(look(**spoken())) == {}


def test_the_list_of_codes_is_whole() -> None:
    """Every code in the modules that find something is in it, and has a case here; no other is."""
    modules = [*(PACKAGE / "replication" / "preflight").glob("*.py"), PACKAGE / "engine" / "plan_findings.py"]
    modules += [PACKAGE / "model" / "encryption.py", PACKAGE / "engine" / "unmatched.py"]
    modules += [
        PACKAGE / "replication" / f"{name}.py"
        for name in ("addresses", "large_disks", "nbd_only", "networks", "holding")
    ]
    texts = {
        node.value
        for path in modules
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    codes = {text for text in texts if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", text)}
    by_class = {"NO_SPACE", "NO_SUCH_OBJECT"}  # the default codes of their exceptions
    exported = {"MOST_CHAIN_DEPTH", "OUR_MARK"}
    assert codes - exported | by_class == CODES.keys()
    assert CASES.keys() | OF_THE_PLAN == CODES.keys()


def test_what_was_promised_is_told() -> None:
    """The room that running migrations have yet to take, in the figures of the error."""
    (error,) = look(**CASES["NO_SPACE"]).errors
    assert error.evidence["promised"] == 7 * GIB
    assert found(look(sr={"free_bytes": 20 * GIB})) == {}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"live": False}, "live"),
        ({"enabled": False}, "disabled"),
        ({"srs": []}, "SR 'fast'"),
        ({"networks": []}, "network 'lan'"),
        ({"memory_total_bytes": GIB}, "of memory"),
        ({"capabilities": ["xen-3.0-x86_64"]}, "HVM"),
        ({"hardware_versions": [0]}, "virtual hardware"),
    ],
)
def test_why_a_host_cannot(changes: dict[str, Any], why: str) -> None:
    """By its name; another host that can is enough."""
    vm = build(memory_start_bytes=2 * GIB, domain_type="hvm", hardware_version=1)
    (error,) = look(**(vm | host(**changes))).errors
    assert error.code == "NO_HOST_CAN_START"
    assert why in error.evidence["hosts"]["host 1"]
    both = target(hosts=[msgspec.structs.replace(HOST, **changes), HOST])
    assert look(**(vm | both)).errors == []


def test_disks_that_nbd_does_not_serve_are_told_once_for_a_reason() -> None:
    """Not where exports were asked for."""
    against: dict[str, Any] = {"around_more": {"against_blocks": {"disk-0": "no network", "disk-1": "no network"}}}
    (note,) = look(**against).notes
    assert note.evidence["disks"] == ["disk-0", "disk-1"]
    assert found(look(**against, transport=Transport.VHD)) == {}


def test_memory_that_the_source_leaves_counts() -> None:
    """Within one pool the VM's own is free once it is shut down."""
    small = host(memory_free_bytes=GIB)
    vm = build(memory_start_bytes=2 * GIB)
    assert found(look(**(vm | small))) == {"NO_HOST_HAS_MEMORY": Severity.WARNING}
    assert found(look(vm["vm"] | {"pool": "pool-target"}, **small)) == {}


def test_force_accepts_what_costs_data() -> None:
    """Without it the request is refused for its code, and the warning says that it needs it; an error it does not help."""
    shared: dict[str, Any] = facts({"srs": ["sr-source"]}, {"srs": ["sr-source"]})
    refused = look(**shared)
    assert [error.code for error in refused.errors] == ["FORCE_NEEDED"]
    assert refused.errors[0].evidence["codes"] == ["SR_ON_BOTH_POOLS"]
    assert [warning.needs_force for warning in refused.warnings] == [True]
    assert look(**shared, force=True).plan is not None
    assert look({"is_a_template": True}, force=True).plan is None


def test_what_is_weak_about_a_connection_names_its_pool() -> None:
    """Of each side, the source's first; of one pool once."""
    clear = {"encryption": NOT_ENCRYPTED}
    told = look(**facts(clear, clear)).warnings
    assert [(each.evidence["id"], each.evidence["side"]) for each in told] == [
        ("pool-source", "source"),
        ("pool-target", "target"),
    ]
    assert told[0].message.startswith("the source's pool source is spoken to over plain HTTP")
    assert all(each.remedy for each in told)
    assert len(look({"pool": "pool-target"}, **facts(clear, clear)).warnings) == 1


def test_blocks_in_clear_are_told_where_they_are_read() -> None:
    """And where anything else is protected."""
    blocks = spoken_of({}, nbd_in_clear=True)
    assert found(look(**blocks, verify=Verify.NONE)) == {}
    of_source: dict[str, Any] = {"around_more": {"source_facts": blocks["around_more"]["target_facts"]}}
    assert found(look(**of_source)) == {"NBD_IN_CLEAR": Severity.WARNING}
    assert found(look(**of_source, transport=Transport.VHD)) == {}
    one_pool = {"vm": {"pool": "pool-target"}, **of_source, "transport": Transport.VHD}
    assert found(look(**one_pool)) == {"NBD_IN_CLEAR": Severity.WARNING}
    assert found(look(**one_pool, verify=Verify.NONE)) == {}
    assert found(look(**target(encryption=NOT_ENCRYPTED, nbd_in_clear=True))) == {"POOL_IN_CLEAR": Severity.WARNING}


def test_only_what_costs_data_or_downtime_needs_force() -> None:
    """As the list says of each; callers of XO's own call cannot give it, so nothing that any VM may have does."""
    needing = {each.code for case in CASES.values() for each in look(**case).warnings if each.needs_force}
    assert needing == {"SR_ON_BOTH_POOLS", "READ_BACK_IN_DOWNTIME"}
    assert needing == {code for code, each in CODES.items() if not each.force.startswith("no")}


def test_reading_back_within_the_budget_needs_no_force() -> None:
    """What is asked for with ``verify`` has to be accepted only where it takes longer than the downtime that was."""
    full: dict[str, Any] = {"verify": Verify.FULL, "against_read_back": "no NBD"}
    assert [error.code for error in look(**full).errors] == ["FORCE_NEEDED"]
    (warning,) = look(**full, target_downtime=3600.0).warnings
    assert not warning.needs_force
    assert look(HALTED, **full).warnings == []


def test_an_older_release_tells_what_is_lost() -> None:
    """By what the VM has."""

    def lost(vm: dict[str, Any], api: tuple[int, int]) -> Any:
        (warning,) = look(**(vm | facts({"api_version": (2, 21)}, {"api_version": api}))).warnings
        return warning.evidence["lost"]

    device = "the device for drivers from Windows Update"
    assert device in lost(build(vendor_device=True), (2, 3))
    assert device not in lost(build(vendor_device=True), (2, 15))
    assert device not in lost({}, (2, 3))
    assert look(**facts({"api_version": (2, 15)}, {"api_version": (2, 21)})).warnings == []
