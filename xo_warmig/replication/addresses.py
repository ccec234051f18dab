"""Which MAC address each interface of the target gets: the source's, unless something else was asked for (R12)."""

from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec

from xo_warmig.errors import InvalidRequest
from xo_warmig.model.vm import Vif, Vm

NEW = "new"  # as it is asked for
MADE_THERE = ""  # as XAPI takes it: the pool makes one of the VM's seed
_SEED = "mac_seed"
_MULTICAST = 0x01  # of the first octet: IEEE 802
_NO_ADDRESS = "00:00:00:00:00:00"


def choose_addresses(vm: Vm, asked: str | Mapping[str, str]) -> tuple[dict[str, str], list[InvalidRequest]]:
    """Address by VIF, ``MADE_THERE`` for a new one, and what stands against it. ``asked``: see ``WarmMigrationRequest``."""
    by_vif = asked if isinstance(asked, Mapping) else {vif.uuid: NEW for vif in vm.vifs} if asked == NEW else {}
    chosen = {vif.uuid: _address(by_vif[vif.uuid]) if vif.uuid in by_vif else vif.mac for vif in vm.vifs}
    return chosen, [*_errors(vm, by_vif), *_twice(vm, by_vif, chosen)]


def with_addresses(vm: Vm, addresses: Mapping[str, str]) -> Vm:
    """The VM with these addresses by VIF; an interface that is not named keeps its own.

    Where one is new, so is the seed that the target's pool makes it of: from the source's it would make the source's address.
    """
    vifs = [msgspec.structs.replace(vif, mac=addresses.get(vif.uuid, vif.mac)) for vif in vm.vifs]
    kept = {key: text for key, text in vm.other_config.items() if key != _SEED}
    seedless = any(vif.mac == MADE_THERE for vif in vifs)
    return msgspec.structs.replace(vm, vifs=vifs, other_config=kept if seedless else vm.other_config)


def _address(text: str) -> str:
    return MADE_THERE if text == NEW else text.lower()


def _errors(vm: Vm, by_vif: Mapping[str, str]) -> Iterator[InvalidRequest]:
    known = [vif.uuid for vif in vm.vifs]
    for vif, address in by_vif.items():
        path = f"/macAddresses/{vif}"
        if vif not in known:
            yield InvalidRequest(
                f"{vif} is no interface of the VM",
                code="UNKNOWN_VIF",
                evidence={"instancePath": path, "choices": known},
                remedy="name one of its interfaces",
            )
        elif address != NEW and (int(address[:2], 16) & _MULTICAST or address == _NO_ADDRESS):
            yield InvalidRequest(
                f"{address} is no MAC address for an interface: it is that of a group, or of nobody",
                code="BAD_MAC_ADDRESS",
                evidence={"instancePath": path, "vif": vif, "actual": address},
                remedy='give one whose first octet is even, as 02:16:3e:12:34:56, or "new"',
            )


def _twice(vm: Vm, by_vif: Mapping[str, str], chosen: Mapping[str, str]) -> Iterator[InvalidRequest]:
    """Only where an address was asked for: what the source has twice it had before."""
    counts = Counter(address.lower() for address in chosen.values())
    for vif in vm.vifs:
        address = chosen[vif.uuid]
        if vif.uuid in by_vif and address != MADE_THERE and counts[address] > 1:
            yield InvalidRequest(
                f"interface {vif.device} would have the MAC address {address} of another interface of the VM",
                code="MAC_ADDRESS_TWICE",
                evidence={"instancePath": f"/macAddresses/{vif.uuid}", "vif": vif.uuid, "actual": address},
                remedy='give each interface its own address, or "new"',
            )


def changes_address(vif: Vif, address: str) -> bool:
    """Whether the target's differs from the source's."""
    return vif.mac.lower() != address.lower()
