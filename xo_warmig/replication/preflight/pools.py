"""The two pools as a whole: high availability, upgrades, clocks."""

from collections.abc import Iterator, Mapping

from xo_warmig.model.reports import Note, Warning_
from xo_warmig.model.units import format_seconds
from xo_warmig.model.vm import Vm
from xo_warmig.replication.preflight.surroundings import Found, Surroundings

# Below this a person does not notice; pools whose time is kept are within a second.
_MOST_SKEW_SECONDS = 60.0
_RESTARTED = "restart"


def of_pools(vm: Vm, srs: Mapping[str, str], around: Surroundings) -> Iterator[Found]:
    """Nothing of it stops a migration."""
    yield from _of_ha(vm, srs, around)
    sides = (
        ("source", vm.pool, vm.pool_name, around.source_facts),
        ("target", around.target_pool, around.target_pool_name, around.target_facts),
    )
    for side, uuid, name, facts in sides:
        if facts.upgrading:
            yield Warning_(
                code="POOL_UPGRADING",
                message=f"a rolling upgrade of the {side}'s pool {name} is under way: its hosts restart, which breaks transfers",
                evidence={"id": uuid, "side": side},
                remedy="wait until it has ended",
            )
        ahead = facts.clock_ahead_seconds
        if ahead is not None and abs(ahead) > _MOST_SKEW_SECONDS:
            yield Warning_(
                code="CLOCK_SKEW",
                message=f"the clock of the {side}'s pool {name} is {format_seconds(abs(ahead))} {'ahead' if ahead > 0 else 'behind'}: "
                "a cutover at a time goes by this server's clock, and the guest's by its host's",
                evidence={"id": uuid, "side": side, "ahead_seconds": ahead},
                remedy="have the hosts keep time (NTP)",
            )


def _of_ha(vm: Vm, srs: Mapping[str, str], around: Surroundings) -> Iterator[Found]:
    priority = vm.ha_restart_priority
    if not priority or around.target_facts.ha_enabled is None:
        return
    if not around.target_facts.ha_enabled:
        yield Note(
            code="HA_OFF_ON_TARGET",
            message=f"the VM is protected by HA ({priority}), off on the target's pool: the setting travels and does nothing",
            evidence={"priority": priority},
        )
        return
    local = sorted({srs[disk.vdi] for disk in vm.disks if not _is_shared(srs[disk.vdi], around)})
    if local and priority == _RESTARTED:
        yield Warning_(
            code="HA_NEEDS_SHARED_SR",
            message="the VM is protected by HA, and its disks go to storage of a single host: the target's pool will refuse to protect it",
            evidence={"priority": priority, "srs": local},
            remedy="choose a shared SR",
        )


def _is_shared(sr: str, around: Surroundings) -> bool:
    known = around.srs.get(sr)
    return known is None or known.shared
