"""What became of a source's interfaces, drives and rules of start since its plan, and what follows for the target. Decisions only.

Disks are not here: a change of theirs ends a migration (R14). An interface that was added or moved goes on where its network is clear
(R12): by the same rules as in the plan, but never by a map that the caller made for where it was before.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from xo_warmig.errors import InvalidRequest, WarmigError
from xo_warmig.model.plans import MigrationPlan, SourceChange
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.model.vm import CdDrive, Network, Vif, Vm
from xo_warmig.replication.addresses import MADE_THERE, NEW
from xo_warmig.replication.networks import choose_networks

_AUTO_POWERON: Final = "auto_poweron"  # XAPI's key of other_config


class Steps(NamedTuple):
    """What is done to the target, in this order. ``vifs`` and ``drives``: as they are made there; those that go are devices."""

    vifs_gone: list[str]
    drives_gone: list[str]
    vifs: list[tuple[Vif, str]]
    drives: list[CdDrive]


def differs(plan: MigrationPlan, now: Vm) -> bool:
    """Whether anything of this is not as planned. What is inserted in a drive does not count: it does not travel."""
    before = plan.vm
    return (
        [_looks(vif) for vif in before.vifs] != [_looks(vif) for vif in now.vifs]
        or _devices(before) != _devices(now)
        or (before.ha_restart_priority, before.auto_poweron) != (now.ha_restart_priority, now.auto_poweron)
    )


def change_of(
    plan: MigrationPlan, now: Vm, networks: Sequence[Network], request: WarmMigrationRequest
) -> tuple[SourceChange, list[WarmigError]]:
    """How it is now, and what stands against it. ``networks``: those of the target's pool."""
    chosen: dict[str, str] = {}
    addresses: dict[str, str] = {}
    errors: list[WarmigError] = []
    for vif in now.vifs:
        before = _before(plan, vif)
        addresses[vif.uuid] = _address(plan, before, vif, request)
        if before is not None and before.network == vif.network:
            chosen[vif.uuid] = plan.networks[before.uuid]
        elif vif.uuid in request.map_vifs_networks:
            errors.append(_mapped_before(vif))
        else:
            found, against = choose_networks(msgspec.structs.replace(now, vifs=[vif]), networks, {})
            chosen |= found
            errors += against
    change = SourceChange(
        vifs=now.vifs,
        source_networks=now.networks,
        networks=chosen,
        addresses=addresses,
        cd_drives=now.cd_drives,
        ha_restart_priority=now.ha_restart_priority,
        auto_poweron=now.auto_poweron,
    )
    return change, errors


def steps_of(plan: MigrationPlan, change: SourceChange) -> Steps:
    """An interface that is another now is made anew: XAPI has no way to change all of one on every release."""
    before = {vif.device: _looks(vif) for vif in plan.vm.vifs}
    now = {vif.device: _looks(vif) for vif in change.vifs}
    made = [vif for vif in change.vifs if before.get(vif.device) != now[vif.device]]
    drives, wanted = _devices(plan.vm), [drive.device for drive in change.cd_drives]
    return Steps(
        vifs_gone=[device for device in before if now.get(device) != before[device]],
        drives_gone=[device for device in drives if device not in wanted],
        vifs=[
            (msgspec.structs.replace(vif, mac=change.addresses[vif.uuid]), change.networks[vif.uuid]) for vif in made
        ],
        drives=[drive for drive in change.cd_drives if drive.device not in drives],
    )


def with_change(plan: MigrationPlan, change: SourceChange) -> MigrationPlan:
    """The plan of the source as it is now."""
    other_config = {key: text for key, text in plan.vm.other_config.items() if key != _AUTO_POWERON}
    if change.auto_poweron:
        other_config[_AUTO_POWERON] = "true"
    vm = msgspec.structs.replace(
        plan.vm,
        vifs=change.vifs,
        networks=plan.vm.networks | change.source_networks,
        cd_drives=change.cd_drives,
        ha_restart_priority=change.ha_restart_priority,
        auto_poweron=change.auto_poweron,
        other_config=other_config,
    )
    return msgspec.structs.replace(plan, vm=vm, networks=change.networks, addresses=change.addresses)


def told(plan: MigrationPlan, change: SourceChange) -> Iterator[str]:
    """In words, what was done about it."""
    steps = steps_of(plan, change)
    made = {vif.device: network for vif, network in steps.vifs}
    for device in steps.vifs_gone:
        if device not in made:
            yield f"interface {device} was removed, on the target too"
    for device, network in made.items():
        what = "is another now" if device in steps.vifs_gone else "was added"
        yield f"interface {device} {what}, and so on the target, on its network {network}"
    for device in steps.drives_gone:
        yield f"CD drive {device} was removed, on the target too"
    for drive in steps.drives:
        yield f"CD drive {drive.device} was added, and is empty on the target"
    if change.ha_restart_priority != plan.vm.ha_restart_priority:
        yield f"its HA priority is {change.ha_restart_priority or 'none'} now, and that of the target will be"
    if change.auto_poweron != plan.vm.auto_poweron:
        yield f"auto-power-on is {'on' if change.auto_poweron else 'off'} now, and will be on the target"


def _before(plan: MigrationPlan, vif: Vif) -> Vif | None:
    """The planned one: that of the uuid, or one in its place that is as good as the same."""
    by_uuid = next((each for each in plan.vm.vifs if each.uuid == vif.uuid), None)
    place = (vif.device, vif.mac, vif.network)
    alike = (each for each in plan.vm.vifs if (each.device, each.mac, each.network) == place)
    return by_uuid if by_uuid is not None else next(alike, None)


def _address(plan: MigrationPlan, before: Vif | None, vif: Vif, request: WarmMigrationRequest) -> str:
    if before is not None:
        return plan.addresses.get(before.uuid, before.mac)
    return MADE_THERE if request.mac_addresses == NEW else vif.mac


def _looks(vif: Vif) -> Vif:
    """All of it but its uuid; the addresses that it may have are a set."""
    return msgspec.structs.replace(
        vif, uuid="", ipv4_allowed=sorted(vif.ipv4_allowed), ipv6_allowed=sorted(vif.ipv6_allowed)
    )


def _devices(vm: Vm) -> list[str]:
    return [drive.device for drive in vm.cd_drives]


def _mapped_before(vif: Vif) -> InvalidRequest:
    return InvalidRequest(
        f"interface {vif.device} was moved to another network, and mapVifsNetworks was made for the one before",
        code="NO_NETWORK_MATCH",
        evidence={"vif": vif.uuid, "device": vif.device, "network": vif.network},
    )
