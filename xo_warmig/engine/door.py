"""The door key on the source VM: one server has it at a time, and each taking up begins a new epoch (R16)."""

import secrets

from xo_warmig.engine.work import Work
from xo_warmig.errors import NoSuchObject, PoolError
from xo_warmig.model.events import DoorReleased, EpochBegun


async def claim_door(work: Work) -> None:
    """Begin the next epoch and put its key on the source.

    Raises:
        ForbiddenOperation: code SOURCE_CLAIMED, another server has the VM.
    """
    epoch = work.state.epoch + 1
    key = f"{work.id}/{epoch}/{secrets.token_hex(8)}/{work.vm}"
    await work.journal.record(EpochBegun(epoch=epoch, key=key))
    await work.patiently(lambda: work.source.claim_door(work.vm, key, migration=work.id))


async def release_door(work: Work) -> None:
    """Take our key off; a source that is gone has none."""
    if work.state.door_key is None:
        return
    try:
        await work.once_back(lambda: work.tried(lambda: work.source.release_door(work.vm, migration=work.id)))
    except NoSuchObject:
        pass
    except PoolError as refusal:
        await work.journal.warn(
            "DOOR_KEY_LEFT",
            f"our key on the source VM could not be removed: {refusal}",
            rule="R16",
            vm=work.vm,
            remedy="remove the key xo_warmig:door from its other_config",
        )
    await work.journal.record(DoorReleased())
