"""What changes for the VM's interfaces on the networks that were chosen for them."""

from collections.abc import Iterator, Mapping

from xo_warmig.model.reports import Warning_
from xo_warmig.model.vm import Vm
from xo_warmig.replication.preflight.surroundings import Surroundings


def of_interfaces(vm: Vm, networks: Mapping[str, str], around: Surroundings) -> Iterator[Warning_]:
    """``networks``: that of the target by VIF."""
    by_uuid = {network.uuid: network for network in around.networks}
    for vif in vm.vifs:
        before, after = vm.networks.get(vif.network), by_uuid.get(networks.get(vif.uuid, ""))
        if before is None or after is None:
            continue
        evidence: dict[str, object] = {"vif": vif.uuid, "network": after.uuid}
        if before.vlan is not None and after.vlan is None:
            yield Warning_(
                code="NETWORK_WITHOUT_INTERFACE",
                message=f"network {after.name_label!r} for interface {vif.device} has no physical interface: the target reaches only VMs "
                "of its own host there",
                evidence=evidence,
                remedy="choose another network in mapVifsNetworks",
            )
        if before.mtu is not None and after.mtu is not None and after.mtu < before.mtu:
            yield Warning_(
                code="SMALLER_MTU",
                message=f"network {after.name_label!r} for interface {vif.device} takes frames of {after.mtu} bytes, the source's "
                f"{before.mtu}: larger ones are lost",
                evidence=evidence | {"actual": after.mtu, "expected": before.mtu},
                remedy="choose another network in mapVifsNetworks, or raise its MTU",
            )
