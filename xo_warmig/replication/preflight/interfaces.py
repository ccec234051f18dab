"""What changes for the VM's interfaces on the networks that were chosen for them."""

from collections.abc import Iterator, Mapping

from xo_warmig.model.api_versions import OF_7_0
from xo_warmig.model.reports import Note, Warning_
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.model.vm import PowerState, Vif, Vm
from xo_warmig.replication.preflight.surroundings import Surroundings

# VIF.configure_ipv4 and configure_ipv6 came with 7.0.


def of_interfaces(
    request: WarmMigrationRequest, vm: Vm, networks: Mapping[str, str], around: Surroundings
) -> Iterator[Warning_]:
    """``networks``: that of the target by VIF."""
    by_uuid = {network.uuid: network for network in around.networks}
    why = _against_addresses(request, vm, around)
    for vif in vm.vifs:
        if vif.is_addressed:
            yield _of_addresses(vif, why)
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


def _against_addresses(request: WarmMigrationRequest, vm: Vm, around: Surroundings) -> str:
    """Why the target's pool will not have the guest's tools set any; "" where it will, once they run."""
    target = around.target_facts
    if target.api_version is not None and target.api_version < OF_7_0:
        return "its release cannot"
    if target.restrictions.get("restrict_guest_ip_setting") == "true":
        return "its licence does not allow it"
    if not request.start_destination_vm:
        return "the target is not started"
    if vm.power_state is PowerState.RUNNING and not vm.tools:
        return "the guest has no tools"
    return ""


def _of_addresses(vif: Vif, why: str) -> Warning_:
    addresses = " and ".join(each.address for each in (vif.ipv4, vif.ipv6) if each.mode != "None")
    evidence: dict[str, object] = {"vif": vif.uuid, "addresses": addresses, "reason": why}
    if not why:
        return Note(
            code="ADDRESSES_SET_LATE",
            message=f"interface {vif.device} has its address from its pool ({addresses}), which sets it through tools that run: the "
            "target starts with what the guest itself remembers, and is given it then",
            evidence=evidence,
        )
    return Warning_(
        code="ADDRESSES_STAY",
        message=f"interface {vif.device} has its address from its pool ({addresses}), and the target's does not set it ({why}): the guest "
        "uses what it remembers itself, if it does",
        evidence=evidence,
        remedy="see that the guest has the address in its own configuration, or set it by hand once it runs",
    )
