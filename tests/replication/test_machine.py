"""What the guest finds of its machine on the target, by what pools tell of themselves."""

from typing import Any

import msgspec
import pytest

from tests.replication.test_findings import ADDRESSED, HOST, build, facts, found, target
from tests.replication.test_preflight import VIF, look
from xo_warmig.model.pools import PoolFacts
from xo_warmig.model.vm import PowerState

DELL = {"bios-vendor": "Dell Inc.", "system-manufacturer": "Dell Inc.", "system-product-name": "R640"}


@pytest.mark.parametrize(
    ("kind", "vcpus", "cores", "api", "stands"),
    [
        ("hvm", 3, "2", (2, 5), True),
        ("hvm", 3, "2", (2, 3), False),
        ("hvm", 4, "2", (2, 21), False),
        ("hvm", 3, "", (2, 21), False),
        ("hvm", 3, "0", (2, 21), True),
        ("hvm", 3, "two", (2, 21), True),
        ("pvh", 3, "2", (2, 21), True),
        ("pv", 3, "2", (2, 15), False),
    ],
)
def test_processors_must_fit_into_sockets(
    kind: str, vcpus: int, cores: str, api: tuple[int, int], stands: bool
) -> None:
    """XAPI refuses the start alone, from 7.0 on, and not of paravirtual guests: told before anything is copied."""
    vm = build(domain_type=kind, vcpus=vcpus, cores_per_socket=cores)
    assert ("VCPU_TOPOLOGY" in found(look(**(vm | target(api_version=api))))) is stands


@pytest.mark.parametrize(
    ("facts", "stands"),
    [
        ({}, False),
        ({"xapi_version": (25, 33), "restrictions": {"restrict_vtpm": "false"}}, False),
        ({"xapi_version": (25, 33), "restrictions": {"restrict_vtpm": "true"}}, True),
        ({"xapi_version": (25, 33), "restrictions": {"restrict_ad": "false"}}, True),
        ({"xapi_version": (23, 1), "ha_enabled": True}, True),
        ({"xapi_version": (25, 33), "ha_enabled": True}, False),
    ],
)
def test_a_vtpm_is_made_only_where_the_licence_says_so(facts: dict[str, Any], stands: bool) -> None:
    """A restriction that is not there restricts; earlier toolstacks made none beside HA."""
    assert ("VTPM_NOT_SUPPORTED" in found(look({"vtpms": 1}, **target(**facts)))) is stands
    assert "VTPM_NOT_SUPPORTED" not in found(look(**target(**facts)))


@pytest.mark.parametrize(("version", "stands"), [((1, 249), True), ((24, 13), True), ((24, 14), False), (None, True)])
def test_the_vendor_device_needs_a_licence_no_more(version: tuple[int, int] | None, stands: bool) -> None:
    """Since 24.14 of the toolstack."""
    restricted = target(xapi_version=version, restrictions={"restrict_pci_device_for_auto_update": "true"})
    assert ("VENDOR_DEVICE_RESTRICTED" in found(look(**(build(vendor_device=True) | restricted)))) is stands
    assert found(look(**restricted)) == {}


@pytest.mark.parametrize(("mode", "stands"), [("locked", True), ("unlocked", False), ("disabled", False)])
def test_only_what_xapi_asks_a_licence_for_is_locked(mode: str, stands: bool) -> None:
    """An interface that is open to all, or to nothing, is not."""
    vifs = {"vifs": [msgspec.structs.replace(VIF, locking_mode=mode)]}
    assert bool(look(vifs, **target(restrictions={"restrict_vif_locking": "true"})).errors) is stands


def lost(vm: dict[str, Any], **facts: Any) -> Any:
    """Keys of BIOS strings, and the host that lends its own."""
    evidence = [each.evidence for each in look(**(vm | target(**facts))).warnings if each.code == "BIOS_STRINGS_LOST"]
    return [(each["lost"], each["host"]) for each in evidence]


def test_bios_strings_are_lost_before_7_3() -> None:
    """Also to a pool that is as old as the source's; what a host of the same maker lends is not."""
    vm = build(bios_strings=DELL | {"system-serial-number": "42"}, fixed_bios_strings=["oem-1"])
    every = sorted([*DELL, "system-serial-number", "oem-1"])
    assert lost(vm, api_version=(2, 3)) == [(every, None)]
    lender = msgspec.structs.replace(HOST, bios_strings=DELL | {"system-serial-number": "7", "oem-1": "Dell System"})
    assert lost(vm, api_version=(2, 6), hosts=[lender]) == [(["system-serial-number"], HOST.uuid)]
    assert lost(vm, api_version=(2, 6), hosts=[HOST]) == [(every, None)]
    assert "BIOS_STRINGS_LENT" in found(look(**(vm | target(api_version=(2, 6), hosts=[lender]))))
    assert "BIOS_STRINGS_LENT" not in found(look(**(vm | target(api_version=(2, 8), hosts=[lender]))))


def test_of_later_releases_only_what_is_a_host_s_is_lost() -> None:
    """The rest is set."""
    assert lost(build(bios_strings=DELL), api_version=(2, 8)) == []
    assert lost(build(bios_strings=DELL, fixed_bios_strings=["hp-rombios"]), api_version=(2, 21)) == [
        (["hp-rombios"], None)
    ]
    assert lost(build(), api_version=(2, 3)) == []
    baseboard = build(bios_strings=DELL | {"baseboard-asset-tag": "7"})
    assert lost(baseboard, api_version=(2, 12)) == [(["baseboard-asset-tag"], None)]
    assert lost(baseboard, api_version=(2, 14)) == []


@pytest.mark.parametrize(
    ("source", "of_target", "changes"),
    [(True, False, True), (False, True, True), (True, True, False), (None, True, False)],
)
def test_secure_boot_that_goes_by_the_pool_may_change(source: bool | None, of_target: bool, changes: bool) -> None:
    """Either way; nothing is judged where the source does not tell."""
    vm = build(firmware="uefi", secure_boot_auto=True)
    told = found(look(**(vm | facts({"certificates": source}, {"certificates": of_target}))))
    assert set(told) == ({"SECURE_BOOT_CHANGES"} if changes else set())


@pytest.mark.parametrize(
    ("kind", "api", "code"),
    [
        ("pvh", (2, 12), "PVH_NOT_SUPPORTED"),
        ("pvh", (2, 6), "PVH_NOT_SUPPORTED"),
        ("pvh", (2, 14), None),
        ("pv_in_pvh", (2, 6), "PV_WITHOUT_PVH"),
        ("pv_in_pvh", (2, 11), None),
        ("pv", (2, 6), None),
        ("pv", (2, 21), "PV_GUEST"),
    ],
)
def test_kinds_of_domains_that_a_release_has(kind: str, api: tuple[int, int], code: str | None) -> None:
    """Old ones would start them as PV, without a word."""
    assert set(found(look(**(build(domain_type=kind) | target(api_version=api))))) == ({code} if code else set())


@pytest.mark.parametrize(
    ("model", "source", "of_target", "told"),
    [
        ("", (2, 3), (2, 12), True),
        ("qemu-trad", (2, 11), (2, 21), True),
        ("qemu-upstream-compat", (2, 11), (2, 21), False),
        ("", (2, 3), (2, 11), False),
        ("", (2, 15), (2, 21), False),
    ],
)
def test_another_device_model_is_told(
    model: str, source: tuple[int, int], of_target: tuple[int, int], told: bool
) -> None:
    """From where the old one ran to where it does no more."""
    vm = build(domain_type="hvm", device_model=model)
    codes = found(look(**(vm | facts({"api_version": source}, {"api_version": of_target}))))
    assert ("DEVICE_MODEL_REPLACED" in codes) is told


@pytest.mark.parametrize(
    ("vm", "request_changes", "of_target", "stays"),
    [
        ({}, {}, {}, False),
        ({}, {}, {"api_version": (2, 3)}, True),
        ({}, {"start_destination_vm": False}, {}, True),
        ({"tools": False}, {}, {}, True),
        ({"power_state": PowerState.HALTED, "tools": False}, {}, {}, False),
    ],
)
def test_addresses_need_tools_that_run(
    vm: dict[str, Any], request_changes: dict[str, Any], of_target: dict[str, Any], stays: bool
) -> None:
    """A target that nobody starts, or that has none, keeps what its guest remembers."""
    around: dict[str, Any] = {"around_more": {"target_facts": PoolFacts(**of_target)}}
    told = found(look({"vifs": [ADDRESSED], **vm}, **around, **request_changes))
    assert ("ADDRESSES_STAY" in told, "ADDRESSES_SET_LATE" in told) == (stays, not stays)
