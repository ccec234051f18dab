"""A pool as a whole, and who has a VM's addresses there: read by few calls, with what a release does not tell left out."""

import time
from typing import Any

import msgspec
import pytest

from tests.replication.test_preflight import VM
from xo_warmig.model.pools import PoolFacts
from xo_warmig.xapi.builds import build_from, ties_from
from xo_warmig.xapi.objects import NULL
from xo_warmig.xapi.pool_facts import read_facts
from xo_warmig.xapi.twins import read_twins

CLASSES = ("pool", "host", "host_metrics", "PBD", "SR", "network", "PIF")


@pytest.fixture
def equipped(pool: Any) -> Any:
    """A pool of one host that has two storage repositories, one of them unplugged, and a network."""
    pool.records["pool"].clear()
    metrics = pool.add("host_metrics", live=True, memory_total="4096")
    host = pool.add(
        "host",
        name_label="host 1",
        metrics=metrics,
        enabled=True,
        API_version_major="2",
        API_version_minor="15",
        software_version={"xapi": "1.249", "product_brand": "XCP-ng", "product_version": "8.2.1"},
        cpu_info={"cpu_count": "8"},
        capabilities=["hvm-3.0-x86_64"],
        virtual_hardware_platform_versions=["0", "1"],
    )
    pool.add("pool", master=host, restrictions={"restrict_cbt": "false"}, ha_enabled=True, uefi_certificates="")
    for name, attached in (("fast", True), ("slow", False)):
        sr = pool.add("SR", uuid=name, type="ext", content_type="user")
        pool.add("PBD", host=host, SR=sr, currently_attached=attached)
    network = pool.add("network", uuid="lan")
    pool.add("PIF", host=host, network=network)
    pool.handlers["host.compute_free_memory"] = lambda _: "1024"
    pool.now = time.strftime("%Y%m%dT%H:%M:%SZ", time.gmtime(time.time() + 300))
    return pool


async def test_a_pool_tells_of_itself(equipped: Any) -> None:
    """Release, licence, clock, and what its host has and reaches."""
    facts = await read_facts(equipped)
    assert (facts.api_version, facts.xapi_version, facts.product) == ((2, 15), (1, 249), "XCP-ng 8.2.1")
    assert (facts.ha_enabled, facts.certificates, facts.upgrading) == (True, False, False)
    assert facts.restrictions == {"restrict_cbt": "false"}
    assert facts.clock_ahead_seconds == pytest.approx(300, abs=5)
    assert facts.srs == ["fast"]
    (host,) = facts.hosts
    assert (host.srs, host.srs_unplugged, host.networks) == (["fast"], ["slow"], ["lan"])
    assert (host.memory_total_bytes, host.memory_free_bytes, host.cpus) == (4096, 1024, 8)
    assert host.hardware_versions == [0, 1]
    assert sorted(equipped.log) == sorted(
        [*(f"{cls}.get_all_records" for cls in CLASSES), "host.get_servertime", "host.compute_free_memory"]
    )


@pytest.mark.parametrize(
    ("purposes", "expected"),
    [([], False), (["insecure_nbd"], True), (["nbd"], False), (["insecure_nbd", "nbd"], False)],
)
async def test_blocks_that_are_served_in_clear_are_seen(equipped: Any, purposes: list[str], expected: bool) -> None:
    """By the purposes of all networks: one that wants TLS is enough."""
    for purpose in purposes:
        equipped.add("network", purpose=[purpose])
    assert (await read_facts(equipped)).nbd_in_clear is expected


async def test_a_rolling_upgrade_is_seen(equipped: Any) -> None:
    """By the pool's own note."""
    (record,) = equipped.records["pool"].values()
    record["other_config"]["rolling_upgrade_in_progress"] = "true"
    assert (await read_facts(equipped)).upgrading


async def test_what_an_old_release_does_not_tell_is_left_out(equipped: Any) -> None:
    """Fields that are not there, calls that are refused, a clock that nobody understands."""
    (host,) = equipped.records["host"].values()
    (record,) = equipped.records["pool"].values()
    for field in (
        "API_version_major",
        "software_version",
        "cpu_info",
        "capabilities",
        "virtual_hardware_platform_versions",
    ):
        del host[field]
    for field in ("restrictions", "ha_enabled", "uefi_certificates"):
        del record[field]
    equipped.now = "yesterday"

    def refuse(*_: Any) -> Any:
        raise equipped.failure("MESSAGE_METHOD_UNKNOWN", "it")

    equipped.handlers["host.compute_free_memory"] = refuse
    for cls in ("network", "PBD"):
        equipped.handlers[f"{cls}.get_all_records"] = refuse
    facts = await read_facts(equipped)
    (told,) = facts.hosts
    assert msgspec.structs.replace(facts, hosts=[]) == PoolFacts()
    assert (told.cpus, told.memory_free_bytes, told.capabilities) == (None, None, [])
    assert (told.srs, told.networks) == (None, None), "not known is not none"


def vm_record(**fields: Any) -> dict[str, Any]:
    kinds = {"is_a_snapshot": False, "is_a_template": False, "is_control_domain": False}
    return kinds | {"power_state": "Running", "name_label": "other", "uuid": "vm-9", "other_config": {}} | fields


async def test_who_has_the_same_addresses(pool: Any) -> None:
    """By address, or by the seed of them; not the VM itself, nor a halted copy of ours, nor what cannot start."""
    source = msgspec.structs.replace(VM, other_config={"mac_seed": "seed"})
    mac = source.vifs[0].mac
    ours = {"xo_warmig:self": "vm-8", "xo_warmig:migration": "m", "xo_warmig:role": "target"}
    for uuid, fields in (
        ("vm-1", {}),
        ("vm-7", {"is_a_snapshot": True}),
        ("vm-8", {"other_config": ours, "power_state": "Halted"}),
        ("vm-9", {"other_config": {"mac_seed": "seed"}}),
    ):
        vm = pool.add("VM", **vm_record(uuid=uuid, **fields))
        pool.add("VIF", VM=vm, MAC=mac)
    pool.add("VM", **vm_record(uuid="vm-10", other_config={"mac_seed": "seed"}, power_state="Halted"))
    twins = await read_twins(pool, source)
    assert [(twin.vm, twin.mac, twin.running) for twin in twins] == [("vm-9", mac, True), ("vm-10", None, False)]


async def test_a_twin_s_address_may_be_written_otherwise(pool: Any) -> None:
    """XAPI keeps it as it was given, and looks for that."""
    mac = VM.vifs[0].mac.upper()
    pool.add("VIF", VM=pool.add("VM", **vm_record()), MAC=mac)
    assert [(twin.vm, twin.mac) for twin in await read_twins(pool, VM)] == [("vm-9", mac)]


def test_how_a_vm_is_built_is_read_of_any_release() -> None:
    """Of one without ``domain_type`` by its boot policy; what is not there is the default."""
    old = build_from({"HVM_boot_policy": "BIOS order", "other_config": {}})
    assert (old.domain_type, old.firmware, old.hardware_version) == ("hvm", "bios", 0)
    assert build_from({"HVM_boot_policy": "", "other_config": {}}).domain_type == "pv"
    new = build_from(
        {
            "domain_type": "hvm",
            "HVM_boot_params": {"firmware": "uefi"},
            "platform": {"secureboot": "true", "cores-per-socket": "2", "device-model": "qemu-upstream-uefi"},
            "hardware_platform_version": "2",
            "memory_dynamic_min": "1024",
            "VCPUs_max": "4",
            "bios_strings": {"bios-vendor": "Dell Inc.", "hp-rombios": "x"},
            "has_vendor_device": True,
        }
    )
    assert (new.firmware, new.secure_boot, new.hardware_version, new.memory_start_bytes) == ("uefi", True, 2, 1024)
    assert (new.vcpus, new.cores_per_socket, new.device_model, new.vendor_device) == (
        4,
        "2",
        "qemu-upstream-uefi",
        True,
    )
    assert (new.bios_strings, new.fixed_bios_strings) == ({"bios-vendor": "Dell Inc."}, ["hp-rombios"])


@pytest.mark.parametrize(
    ("text", "sure", "auto"), [("true", True, False), ("auto", False, True), ("false", False, False)]
)
def test_secure_boot_may_go_by_the_pool(text: str, sure: bool, auto: bool) -> None:
    """``auto`` is neither on nor off."""
    found = build_from({"HVM_boot_policy": "BIOS order", "other_config": {}, "platform": {"secureboot": text}})
    assert (found.secure_boot, found.secure_boot_auto) == (sure, auto)


def test_what_ties_a_vm_is_read_of_any_release() -> None:
    """References that lead nowhere do not count."""
    assert ties_from({"other_config": {}, "affinity": NULL, "appliance": ""}) == ties_from({"other_config": {}})
    found = ties_from(
        {
            "other_config": {"pci": "0/0000:04:00.0,0/0000:05:00.0"},
            "VGPUs": ["OpaqueRef:1"],
            "VUSBs": ["OpaqueRef:2"],
            "affinity": "OpaqueRef:3",
            "appliance": "OpaqueRef:4",
            "groups": ["OpaqueRef:5"],
            "VCPUs_params": {"mask": "0,1"},
            "snapshot_schedule": "OpaqueRef:6",
        }
    )
    assert (len(found.pci), found.vgpus, found.vusbs, found.groups) == (2, 1, 1, 1)
    assert found.cpu_mask == "0,1"
    assert found.affinity
    assert found.appliance
    assert found.snapshot_schedule
