"""Addresses that a pool has the tools of a guest set."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from xo_warmig.errors import PoolError
from xo_warmig.model.vm import GuestAddress, Vif, Vm
from xo_warmig.xapi.guest_addresses import set_guest_addresses
from xo_warmig.xapi.reading import read_vm
from xo_warmig.xapi.records import Origin

STATIC = GuestAddress(mode="Static", address="192.0.2.7/24", gateway="192.0.2.1")
PLAIN = Vif(uuid="v", device="0", mac="aa:bb:cc:00:00:01", mtu=1500, network="n")


@pytest.fixture
async def vm(pool: Any, make_vm: Callable[..., str]) -> Vm:
    """With two interfaces, neither of which has an address."""
    for cls in ("network", "PIF", "SR", "VIF", "VBD", "VDI"):
        pool.records.setdefault(cls, {})
    ref = make_vm()
    none = {"ipv4_configuration_mode": "None", "ipv4_addresses": [], "ipv4_gateway": ""}
    for device in ("0", "1"):
        fields = {"device": device, "MAC": "aa:bb:cc:00:00:01", "MTU": "1500", "network": "n"}
        vif = pool.add("VIF", VM=ref, **fields, **none, qos_algorithm_type="", qos_algorithm_params={})
        pool.get("VM", ref)["VIFs"].append(vif)
    return await read_vm(pool, Origin("p", "lab", (2, 21)), pool.get("VM", ref)["uuid"])


def configure(pool: Any) -> list[tuple[str, ...]]:
    """The pool does what it is asked, and its records say so; what it was asked."""
    asked: list[tuple[str, ...]] = []

    def answer(vif: str, mode: str, address: str, gateway: str) -> None:
        asked.append((pool.get("VIF", vif)["device"], mode, address, gateway))
        given = {"ipv4_configuration_mode": mode, "ipv4_addresses": [address], "ipv4_gateway": gateway}
        pool.get("VIF", vif).update(given)

    pool.handlers["VIF.configure_ipv4"] = answer
    return asked


async def test_they_are_set_once_by_device(pool: Any, vm: Vm) -> None:
    """On that interface alone."""
    asked = configure(pool)
    source = msgspec.structs.replace(vm, vifs=[PLAIN, msgspec.structs.replace(PLAIN, device="1", ipv4=STATIC)])
    for _ in range(2):
        await set_guest_addresses(pool, vm.uuid, source)
    assert asked == [("1", "Static", "192.0.2.7/24", "192.0.2.1")]


async def test_nothing_is_asked_where_there_are_none(pool: Any, vm: Vm) -> None:
    """As with most VMs."""
    pool.log.clear()
    await set_guest_addresses(pool, vm.uuid, vm)
    assert pool.log == []


async def test_tools_that_cannot_are_told(pool: Any, vm: Vm) -> None:
    """By XAPI's code."""

    def refuse(*_: Any) -> None:
        raise pool.failure("VM_LACKS_FEATURE", "OpaqueRef:vm")

    pool.handlers["VIF.configure_ipv4"] = refuse
    with pytest.raises(PoolError) as caught:
        await set_guest_addresses(
            pool, vm.uuid, msgspec.structs.replace(vm, vifs=[msgspec.structs.replace(PLAIN, ipv4=STATIC)])
        )
    assert caught.value.code == "VM_LACKS_FEATURE"
