"""Who else on the target's pool answers to the VM's MAC addresses. XAPI checks neither on creation nor on start."""

from collections.abc import Iterator, Mapping, Sequence

from xo_warmig.model.pools import Twin
from xo_warmig.model.reports import Note, Warning_
from xo_warmig.model.vm import Vm
from xo_warmig.replication.addresses import MADE_THERE, changes_address, with_addresses
from xo_warmig.replication.preflight.surroundings import Found


def of_identity(vm: Vm, addresses: Mapping[str, str], twins: Sequence[Twin]) -> Iterator[Found]:
    """A running VM with the same address disturbs the target's network; a halted one would, and the same seed may later.

    ``addresses``: the target's, by VIF, as ``twins`` were looked for.
    """
    yield from _changed(vm, addresses)
    yield from _twins(with_addresses(vm, addresses), twins)


def _changed(vm: Vm, addresses: Mapping[str, str]) -> Iterator[Note]:
    changed = {vif.uuid: addresses[vif.uuid] for vif in vm.vifs if changes_address(vif, addresses[vif.uuid])}
    if changed:
        told = ", ".join("one that its pool makes" if each == MADE_THERE else each for each in changed.values())
        yield Note(
            code="MAC_CHANGES",
            message=f"the target gets other MAC addresses than the source, as asked: {told}. What goes by the source's (leases of DHCP, "
            "names of interfaces in the guest, licences) does not know it",
            evidence={"addresses": changed},
            remedy="enter the new addresses where the old ones stand, or keep these: macAddresses keep",
        )


def _twins(vm: Vm, twins: Sequence[Twin]) -> Iterator[Found]:
    for twin in twins:
        if twin.vm == vm.uuid:
            continue
        evidence: dict[str, object] = {"vm": twin.vm, "name_label": twin.name_label, "mac": twin.mac}
        vif = next((each.uuid for each in vm.vifs if each.mac.lower() == (twin.mac or "").lower() != ""), None)
        if vif is not None:
            evidence["vif"] = vif
        if twin.mac is None:
            yield Note(
                code="MAC_SEED_IN_USE",
                message=f"VM {twin.name_label!r} of the target's pool generates its MAC addresses from the same seed: interfaces that are "
                "added to both later get the same ones",
                evidence=evidence,
                remedy="give one of them another mac_seed in its other_config; with macAddresses new the target gets one",
            )
        elif twin.running:
            yield Warning_(
                code="MAC_IN_USE",
                message=f"VM {twin.name_label!r} runs on the target's pool with the same MAC address {twin.mac}: both lose their network",
                evidence=evidence,
                remedy="shut it down before the target starts, or give the target another address in macAddresses",
            )
        else:
            yield Note(
                code="MAC_OF_HALTED_VM",
                message=f"VM {twin.name_label!r} of the target's pool has the same MAC address {twin.mac}; it is halted",
                evidence=evidence,
                remedy="do not start it while the target runs, or give the target another address in macAddresses",
            )
