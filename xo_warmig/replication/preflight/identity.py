"""Who else on the target's pool answers to the VM's MAC addresses. XAPI checks neither on creation nor on start."""

from collections.abc import Iterator, Sequence

from xo_warmig.model.pools import Twin
from xo_warmig.model.reports import Note, Warning_
from xo_warmig.model.vm import Vm
from xo_warmig.replication.preflight.surroundings import Found


def of_identity(vm: Vm, twins: Sequence[Twin]) -> Iterator[Found]:
    """A running VM with the same address disturbs the target's network; a halted one would, and the same seed may later."""
    for twin in twins:
        if twin.vm == vm.uuid:
            continue
        evidence: dict[str, object] = {"vm": twin.vm, "name_label": twin.name_label, "mac": twin.mac}
        vif = next((each.uuid for each in vm.vifs if each.mac == twin.mac), None)
        if vif is not None:
            evidence["vif"] = vif
        if twin.mac is None:
            yield Note(
                code="MAC_SEED_IN_USE",
                message=f"VM {twin.name_label!r} of the target's pool generates its MAC addresses from the same seed: interfaces that are "
                "added to both later get the same ones",
                evidence=evidence,
                remedy="give one of them another mac_seed in its other_config",
            )
        elif twin.running:
            yield Warning_(
                code="MAC_IN_USE",
                message=f"VM {twin.name_label!r} runs on the target's pool with the same MAC address {twin.mac}: both lose their network",
                evidence=evidence,
                remedy="shut it down, or give one of them another address, before the target starts",
            )
        else:
            yield Note(
                code="MAC_OF_HALTED_VM",
                message=f"VM {twin.name_label!r} of the target's pool has the same MAC address {twin.mac}; it is halted",
                evidence=evidence,
                remedy="do not start it while the target runs",
            )
