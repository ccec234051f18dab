"""Which MAC address each interface of the target gets."""

from typing import Any

import msgspec
import pytest

from tests.replication.test_preflight import VIF, VM, look
from xo_warmig.model.vm import Vm
from xo_warmig.replication.addresses import choose_addresses, with_addresses

OTHER = "02:16:3e:00:00:09"
SEEDED = {"mac_seed": "seed", "other": "kept"}


def two() -> Vm:
    """A VM with two interfaces."""
    second = msgspec.structs.replace(VIF, uuid="vif-2", device="1", mac="00:16:3E:00:00:02")
    return msgspec.structs.replace(VM, vifs=[VIF, second], other_config=SEEDED)


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ("keep", {"vif-1": VIF.mac, "vif-2": "00:16:3E:00:00:02"}),
        ("new", {"vif-1": "", "vif-2": ""}),
        ({"vif-1": "02:16:3E:00:00:09"}, {"vif-1": OTHER, "vif-2": "00:16:3E:00:00:02"}),
        ({"vif-2": "new"}, {"vif-1": VIF.mac, "vif-2": ""}),
        ({"vif-1": "00:16:3e:00:00:02", "vif-2": VIF.mac}, {"vif-1": "00:16:3e:00:00:02", "vif-2": VIF.mac}),
    ],
)
def test_the_choice(asked: Any, chosen: dict[str, str]) -> None:
    """As asked, "" for one that the pool makes; the source's where nothing was."""
    assert choose_addresses(two(), asked) == (chosen, [])


@pytest.mark.parametrize(
    ("asked", "code", "path"),
    [
        ({"vif-9": OTHER}, "UNKNOWN_VIF", "/macAddresses/vif-9"),
        ({"vif-1": "01:00:5e:00:00:01"}, "BAD_MAC_ADDRESS", "/macAddresses/vif-1"),
        ({"vif-1": "FF:FF:FF:FF:FF:FF"}, "BAD_MAC_ADDRESS", "/macAddresses/vif-1"),
        ({"vif-1": "00:00:00:00:00:00"}, "BAD_MAC_ADDRESS", "/macAddresses/vif-1"),
        ({"vif-1": "00:16:3e:00:00:02"}, "MAC_ADDRESS_TWICE", "/macAddresses/vif-1"),
    ],
)
def test_what_no_interface_may_have(asked: dict[str, str], code: str, path: str) -> None:
    """Named where it stands in the request, with a remedy."""
    _, (error,) = choose_addresses(two(), asked)
    assert (error.code, error.evidence["instancePath"]) == (code, path)
    assert error.remedy


def test_an_address_that_the_source_has_twice_is_kept() -> None:
    """It was so before, and nobody asked for it."""
    vm = msgspec.structs.replace(VM, vifs=[VIF, msgspec.structs.replace(VIF, uuid="vif-2", device="1")])
    assert choose_addresses(vm, "keep")[1] == []


def test_a_new_address_needs_a_new_seed() -> None:
    """From the source's the pool would make the source's address again; kept ones keep it."""
    vm = two()
    assert with_addresses(vm, {"vif-1": VIF.mac, "vif-2": ""}).other_config == {"other": "kept"}
    kept = with_addresses(vm, {"vif-1": OTHER})
    assert kept.other_config == SEEDED
    assert [vif.mac for vif in kept.vifs] == [OTHER, "00:16:3E:00:00:02"]


def test_the_plan_has_the_addresses() -> None:
    """And tells that they change, with what may go by the old ones."""
    found = look(mac_addresses={"vif-1": OTHER})
    assert found.plan is not None
    assert found.plan.addresses == {"vif-1": OTHER}
    (note,) = found.notes
    assert (note.code, note.evidence["addresses"]) == ("MAC_CHANGES", {"vif-1": OTHER})
    assert look(mac_addresses={"vif-1": VIF.mac}).notes == []
