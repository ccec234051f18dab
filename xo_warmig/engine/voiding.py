"""Bases that are none any more, since somebody else may have written to the target's disks (R17)."""

from collections.abc import Iterator

from xo_warmig.engine.failures import from_fact
from xo_warmig.engine.state import MigrationState
from xo_warmig.engine.work import Work
from xo_warmig.errors import WarmigError
from xo_warmig.model.events import BaseVoided


def is_touched(error: WarmigError) -> bool:
    """Whether it says that the target was seen in use, or free to be used."""
    return error.code == "TARGET_TOUCHED" or (error.code == "BLOCKS_CHANGED" and error.evidence.get("side") == "target")


def voided_by(state: MigrationState, error: WarmigError) -> list[BaseVoided]:
    """What is to be recorded on the way back from ``error``: a kept copy must not be gone on with by deltas then.

    What one disk's copy met counts too: a cancel may have come before it was judged.
    """
    if any(is_touched(each) for each in (error, *_of_copies(state))):
        return _voided(state, f"somebody else may have written to it: {error.message}")
    return []


async def void_unblocked(work: Work, blocked: dict[str, str]) -> None:
    """Before the target is blocked again: where our blocks were gone it may have run, and nothing would tell of that later.

    ``blocked``: what was found. After our own start that is known anyway.
    """
    state = work.state
    if state.start_asked or all(blocked.get(name) == text for name, text in state.target_blocked.items()):
        return
    voided = _voided(state, "the target's blocked operations were gone, so it may have run")
    if voided:
        await work.journal.record(*voided)


def _of_copies(state: MigrationState) -> Iterator[WarmigError]:
    return (from_fact(report.error) for report in state.copied.values() if report.error is not None)


def _voided(state: MigrationState, reason: str) -> list[BaseVoided]:
    bases = {disk: target.base for disk, target in state.target_disks.items()}
    return [BaseVoided(disk=disk, reason=reason) for disk, base in bases.items() if base is not None]
