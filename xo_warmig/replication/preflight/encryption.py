"""How the ways to the two pools are protected. What is weak costs neither data nor downtime, but may cost secrets."""

from collections.abc import Iterator

from xo_warmig.model.encryption import IN_CLEAR, Encryption, Weakness, described, weaknesses
from xo_warmig.model.pools import PoolFacts
from xo_warmig.model.reports import Warning_
from xo_warmig.model.requests import Transport, Verify, WarmMigrationRequest
from xo_warmig.model.vm import Vm
from xo_warmig.replication.preflight.surroundings import Found, Surroundings


def of_encryption(request: WarmMigrationRequest, vm: Vm, around: Surroundings) -> Iterator[Found]:
    """Once where both sides are one pool. Disks of the source are read by blocks for the copy, those of the target for the verification."""
    one_pool, reads_back = vm.pool == around.target_pool, request.verify is not Verify.NONE
    reads_source = request.transport is not Transport.VHD or (one_pool and reads_back)
    source = ("source", vm.pool, vm.pool_name, around.source_facts, reads_source)
    target = ("target", around.target_pool, around.target_pool_name, around.target_facts, reads_back)
    for side, uuid, name, facts, reads in (source,) if one_pool else (source, target):
        if (encryption := facts.encryption) is None:
            continue
        for weakness in [*weaknesses(encryption), *(_of_blocks(encryption, facts) if reads else [])]:
            yield Warning_(
                code=weakness.code,
                message=f"the {side}'s pool {name} {weakness.message}",
                evidence={"id": uuid, "side": side, "negotiated": described(encryption)},
                remedy=weakness.remedy,
            )


def _of_blocks(encryption: Encryption, facts: PoolFacts) -> list[Weakness]:
    """Nothing is added to it where all is sent in clear."""
    if encryption.protocol == IN_CLEAR or not facts.nbd_in_clear:
        return []
    return [
        Weakness(
            code="NBD_IN_CLEAR",
            message="serves disks over NBD without encryption, by the purpose insecure_nbd of a network: whoever is on the way can "
            "read them, and change what is copied",
            remedy="give the network the purpose nbd instead, or choose transport vhd and verify none",
        )
    ]
