"""Whether a host of the target's pool could run the VM. XAPI's own checks, in its order: ocaml/xapi/xapi_vm_helpers.ml of xapi."""

from collections.abc import Iterator, Mapping

from xo_warmig.errors import InvalidRequest
from xo_warmig.model.pools import Host
from xo_warmig.model.reports import Warning_
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.model.units import format_bytes
from xo_warmig.model.vm import Vm
from xo_warmig.replication.preflight.surroundings import Found, Surroundings

_IN_HVM = frozenset({"hvm", "pvh", "pv_in_pvh"})  # kinds of domains that need the processor's help


def of_hosts(
    request: WarmMigrationRequest,
    vm: Vm,
    srs: Mapping[str, str],
    networks: Mapping[str, str],
    around: Surroundings,
) -> Iterator[Found]:
    """One host is enough. Where the pool tells of none, nothing is judged."""
    hosts = around.target_facts.hosts
    if request.start_destination_vm and around.target_facts.restrictions.get("restrict_vm_start") == "true":
        yield InvalidRequest(
            f"the licence of pool {around.target_pool_name} does not allow VMs to be started",
            code="LICENCE_FORBIDS_START",
            evidence={"instancePath": "/sr"},
            remedy="change its licence, or set startDestinationVm to false",
        )
    if not hosts:
        return
    judged = [(host, _against(host, vm, srs, networks, around)) for host in hosts]
    possible = [host for host, why in judged if not why]
    if not possible:
        yield from _none_can(request, {host.name_label: why for host, why in judged}, around)
    elif vm.pool != around.target_pool and all(_lacks_memory(host, vm) for host in possible):
        free = {host.name_label: host.memory_free_bytes for host in possible}
        yield Warning_(
            code="NO_HOST_HAS_MEMORY",
            message=f"the target needs {format_bytes(vm.build.memory_start_bytes)} of memory to start, and no host that could run it has "
            "that free now; it is asked again before the source is shut down, and without room the migration fails then",
            evidence={"needed": vm.build.memory_start_bytes, "free": free},
            remedy="free memory on the target's pool before the cutover",
        )


def _none_can(request: WarmMigrationRequest, against: Mapping[str, str], around: Surroundings) -> Iterator[Found]:
    reasons = "; ".join(f"{name}: {why}" for name, why in against.items())
    message = f"no host of pool {around.target_pool_name} can run the VM: {reasons}"
    remedy = "see to one of the reasons, or choose an SR of another pool"
    if request.start_destination_vm:
        path = {"instancePath": "/sr"}
        yield InvalidRequest(message, code="NO_HOST_CAN_START", evidence=path | {"hosts": dict(against)}, remedy=remedy)
    else:
        yield Warning_(code="NO_HOST_COULD_START", message=message, evidence={"hosts": dict(against)}, remedy=remedy)


def _against(host: Host, vm: Vm, srs: Mapping[str, str], networks: Mapping[str, str], around: Surroundings) -> str:
    """Why it can never run the VM as it is now; "" when it can, given the memory."""
    if not host.live:
        return "it is not live"
    if not host.enabled:
        return "it is disabled (maintenance)"
    if host.hardware_versions and vm.build.hardware_version not in host.hardware_versions:
        return f"it has no virtual hardware of version {vm.build.hardware_version}"
    if vm.build.domain_type in _IN_HVM and host.capabilities and not any("hvm" in each for each in host.capabilities):
        return "its processors do not run HVM guests"
    if why := _unreached(host, srs, networks, around):
        return why
    if host.memory_total_bytes is not None and vm.build.memory_start_bytes > host.memory_total_bytes:
        return f"it has {format_bytes(host.memory_total_bytes)} of memory, {format_bytes(vm.build.memory_start_bytes)} are needed"
    if host.cpus is not None and vm.build.vcpus > host.cpus:
        return f"it has {host.cpus} processors, the VM {vm.build.vcpus}"
    return ""


def _unreached(host: Host, srs: Mapping[str, str], networks: Mapping[str, str], around: Surroundings) -> str:
    """SRs that no host has attached are told by themselves. A network without any interface is on every host."""
    for uuid in sorted(set(srs.values())):
        sr = around.srs.get(uuid)
        if sr is not None and sr.plugged and host.srs is not None and uuid not in host.srs:
            return f"it does not reach SR {sr.name_label!r}"
    by_uuid = {network.uuid: network for network in around.networks}
    for uuid in sorted(set(networks.values())):
        network = by_uuid.get(uuid)
        if host.networks is not None and network is not None and network.vlan is not None and uuid not in host.networks:
            return f"it is not on network {network.name_label!r}"
    return ""


def _lacks_memory(host: Host, vm: Vm) -> bool:
    return host.memory_free_bytes is not None and host.memory_free_bytes < vm.build.memory_start_bytes
