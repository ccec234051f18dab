"""Which network of the target pool each interface goes to: as asked, else the same one, else refused. Never a guess (R12)."""

from collections.abc import Mapping, Sequence

from xo_warmig.errors import InvalidRequest, NoSuchObject, WarmigError
from xo_warmig.model.vm import Network, Vif, Vm


def choose_networks(
    vm: Vm, networks: Sequence[Network], asked: Mapping[str, str]
) -> tuple[dict[str, str], list[WarmigError]]:
    """Network by VIF, both uuids, and what stands against it.

    Args:
        networks: those of the target pool.
        asked: network by VIF, as the caller mapped them.
    """
    chosen: dict[str, str] = {}
    errors: list[WarmigError] = [_unknown_vif(vm, vif) for vif in asked if vif not in {each.uuid for each in vm.vifs}]
    by_uuid = {network.uuid: network for network in networks}
    for vif in vm.vifs:
        wanted = asked.get(vif.uuid)
        if wanted is not None and wanted not in by_uuid:
            errors.append(_unknown_network(vif, wanted, networks))
        elif wanted is not None:
            chosen[vif.uuid] = wanted
        elif (found := _same_network(vm, vif, by_uuid)) is not None:
            chosen[vif.uuid] = found
        else:
            errors.append(_no_match(vm, vif, networks))
    return chosen, errors


def _same_network(vm: Vm, vif: Vif, by_uuid: Mapping[str, Network]) -> str | None:
    """The network of the same uuid, else the only one of the same name and VLAN."""
    if vif.network in by_uuid:
        return vif.network
    source = vm.networks.get(vif.network)
    if source is None:
        return None
    alike = [each.uuid for each in by_uuid.values() if (each.name_label, each.vlan) == (source.name_label, source.vlan)]
    return alike[0] if len(alike) == 1 else None


def _choices(networks: Sequence[Network]) -> list[dict[str, object]]:
    return [{"uuid": each.uuid, "name_label": each.name_label, "vlan": each.vlan} for each in networks]


def _no_match(vm: Vm, vif: Vif, networks: Sequence[Network]) -> InvalidRequest:
    source = vm.networks.get(vif.network)
    called = repr(source.name_label) if source is not None else vif.network
    names = ", ".join(f"{each.name_label!r} ({each.uuid})" for each in networks) or "none"
    return InvalidRequest(
        f"no network of the target pool matches {called} of interface {vif.device}; it has {names}",
        code="NO_NETWORK_MATCH",
        evidence={
            "instancePath": "/mapVifsNetworks",
            "vif": vif.uuid,
            "device": vif.device,
            "network": vif.network,
            "name_label": source.name_label if source is not None else None,
            "vlan": source.vlan if source is not None else None,
            "choices": _choices(networks),
        },
        remedy="name a network for this interface in mapVifsNetworks",
    )


def _unknown_vif(vm: Vm, vif: str) -> InvalidRequest:
    return InvalidRequest(
        f"{vif} is no interface of the VM",
        code="UNKNOWN_VIF",
        evidence={"instancePath": f"/mapVifsNetworks/{vif}", "choices": [each.uuid for each in vm.vifs]},
    )


def _unknown_network(vif: Vif, network: str, networks: Sequence[Network]) -> NoSuchObject:
    return NoSuchObject(
        f"the target pool has no network {network}",
        evidence={
            "id": network,
            "type": "network",
            "instancePath": f"/mapVifsNetworks/{vif.uuid}",
            "choices": _choices(networks),
        },
    )
