"""What running migrations have yet to write to storage: a ledger, so that two of them are not promised the same room."""

from collections.abc import Iterable, Mapping

from xo_warmig.engine.journal import Journal
from xo_warmig.engine.state import MigrationState
from xo_warmig.model.phases import Phase
from xo_warmig.model.vm import StorageRepository
from xo_warmig.replication.preflight.space import copy_bytes

# From here on nothing more is written.
_ALL_WRITTEN = frozenset({Phase.STARTING, Phase.CHECKING, Phase.AWAITING_COMMIT, Phase.COMMITTING})


def promised(srs: Iterable[StorageRepository], journals: Iterable[Journal]) -> dict[str, int]:
    """Bytes by uuid of the SR: what the first passes of running migrations have left, as far as it is not allocated yet."""
    running = [each for each in journals if not each.state.ended and each.state.phase not in _ALL_WRITTEN]
    return {sr.uuid: sum(_left_bytes(sr, each.state, _moved(each)) for each in running) for sr in srs}


def _left_bytes(sr: StorageRepository, state: MigrationState, moved: Mapping[str, int]) -> int:
    """A thick SR allocates a disk when it is made; a thin one as it is written, and what deltas write again is written already."""
    left = 0
    for disk in state.plan.vm.disks:
        made = state.target_disks.get(disk.vdi)
        if state.plan.srs[disk.vdi] != sr.uuid or (made is not None and (made.base is not None or not sr.thin)):
            continue
        left += max(0, copy_bytes(sr, disk) - moved.get(disk.vdi, 0))
    return left


def _moved(journal: Journal) -> dict[str, int]:
    """By source disk, in the pass that runs now."""
    live = journal.live
    return {} if live is None else {vdi: meter.done_bytes for vdi, meter in live.meters.items()}
