"""What was read of the world beside the VM, and what comes of looking at it. Values only."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from xo_warmig.errors import WarmigError
from xo_warmig.model.plans import MigrationPlan
from xo_warmig.model.pools import PoolFacts, Twin
from xo_warmig.model.reports import Note, Warning_
from xo_warmig.model.vm import Network, StorageRepository

# An error refuses the request, a warning or a note (which is one) stops nothing.
Found: TypeAlias = WarmigError | Warning_

NOTHING_TOLD = PoolFacts()


class Surroundings(NamedTuple):
    """What was read of the world beside the VM.

    ``srs`` are those of the target pool that the request names, ``source_srs`` those of the VM's disks, both by uuid. ``there_already``:
    source disks that an earlier attempt left a copy of, for which no space is needed. ``ours``: ended migrations of this server, whose
    door key is no obstacle. ``now``: seconds since the epoch. By source disk: ``against_blocks``, why its pool does not serve it over NBD,
    and ``against_listing``, why nothing tells what a disk stores that no VHD can hold; "" where nothing stands against it.
    ``against_vtpm_contents``: why what is in a vTPM cannot be carried over, "" where it can, or where there is none.
    ``against_read_back``: why the target's disks cannot be read back over NBD, "" where they can, or where that does not matter.
    ``promised``: by uuid of an SR of the target, bytes that running migrations have yet to write to it. ``twins``: VMs of the target
    pool with the MAC addresses that the target is to have.
    """

    target_pool: str
    target_pool_name: str
    srs: Mapping[str, StorageRepository]
    source_srs: Mapping[str, StorageRepository]
    networks: Sequence[Network]
    there_already: frozenset[str] = frozenset()
    ours: frozenset[str] = frozenset()
    now: float = 0.0
    against_blocks: Mapping[str, str] = {}
    against_listing: Mapping[str, str] = {}
    against_read_back: str = ""
    against_vtpm_contents: str = ""
    promised: Mapping[str, int] = {}
    source_facts: PoolFacts = NOTHING_TOLD
    target_facts: PoolFacts = NOTHING_TOLD
    twins: Sequence[Twin] = ()


class Preflight(NamedTuple):
    """``plan`` is None when there are errors."""

    errors: list[WarmigError]
    warnings: list[Warning_]
    plan: MigrationPlan | None
    notes: list[Note]
