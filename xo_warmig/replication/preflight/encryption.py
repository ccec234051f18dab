"""How the ways to the two pools are protected. What is weak costs neither data nor downtime, but may cost secrets."""

from collections.abc import Iterator

from xo_warmig.model.encryption import described, weaknesses
from xo_warmig.model.reports import Warning_
from xo_warmig.model.vm import Vm
from xo_warmig.replication.preflight.surroundings import Found, Surroundings


def of_encryption(vm: Vm, around: Surroundings) -> Iterator[Found]:
    """Once where both sides are one pool."""
    sides = {
        around.target_pool: ("target", around.target_pool_name, around.target_facts),
        vm.pool: ("source", vm.pool_name, around.source_facts),
    }
    for uuid, (side, name, facts) in reversed(sides.items()):
        if (encryption := facts.encryption) is None:
            continue
        for weakness in weaknesses(encryption):
            yield Warning_(
                code=weakness.code,
                message=f"the {side}'s pool {name} {weakness.message}",
                evidence={"id": uuid, "side": side, "negotiated": described(encryption)},
                remedy=weakness.remedy,
            )
