"""The door key: who may migrate a VM, written on the VM itself, so that two servers never drive one (R16)."""

from xo_warmig.errors import ForbiddenOperation, PoolError
from xo_warmig.xapi import labels, objects
from xo_warmig.xapi.connection import Calls

DOOR = "xo_warmig:door"
MOVED = "xo_warmig:moved"
_DUPLICATE = "MAP_DUPLICATE_KEY"


async def claim_door(calls: Calls, vm: str, key: str, *, migration: str) -> None:
    """Put the key ``<migration>/<epoch>/<random>/<uuid of the VM>`` on the VM, and read it back.

    One of the same migration gives way, unless it is of a later epoch: that one has taken over from us. So does one that names another
    VM: XAPI copied it along when the VM was cloned from that one, or made from a snapshot of it.

    Raises:
        NoSuchObject, or ForbiddenOperation with code SOURCE_CLAIMED.
    """
    ref = await objects.ref_of(calls, "VM", vm)
    found = await _key_of(calls, ref)
    if found == key:
        return
    if found is not None:
        if not (is_copied(found, vm) or _gives_way(found, key, migration)):
            raise _claimed(vm, found)
        await calls.call("VM.remove_from_other_config", ref, DOOR)
    try:
        await calls.call("VM.add_to_other_config", ref, DOOR, key)
    except PoolError as error:
        if error.code != _DUPLICATE:
            raise
    found = await _key_of(calls, ref)
    if found != key:
        raise _claimed(vm, found or "unknown")


async def release_door(calls: Calls, vm: str, *, migration: str) -> None:
    """Remove the key if it is this migration's, and this migration's labels from the VM's disks. A VM that is gone is success."""
    ref = await objects.ref_or_none(calls, "VM", vm)
    if ref is None:
        return
    record = await calls.call("VM.get_record", ref)
    for vbd in record["VBDs"]:
        await _remove_label(calls, vbd, migration)
    if _migration_of(record["other_config"].get(DOOR, "")) == migration:
        await calls.call("VM.remove_from_other_config", ref, DOOR)


async def note_moved(calls: Calls, vm: str, text: str) -> None:
    """Write on a VM that is kept where it went, "" to remove the note. Raises NoSuchObject."""
    ref = await objects.ref_of(calls, "VM", vm)
    found = (await calls.call("VM.get_other_config", ref)).get(MOVED, "")
    if found == text:
        return
    if found:
        await calls.call("VM.remove_from_other_config", ref, MOVED)
    if text:
        await calls.call("VM.add_to_other_config", ref, MOVED, text)


async def _key_of(calls: Calls, ref: str) -> str | None:
    found: str | None = (await calls.call("VM.get_other_config", ref)).get(DOOR)
    return found


async def _remove_label(calls: Calls, vbd_ref: str, migration: str) -> None:
    try:
        vbd = await calls.call("VBD.get_record", vbd_ref)
        if vbd["type"] != "Disk" or not objects.exists(vbd["VDI"]):
            return
        label = labels.label_of(await calls.call("VDI.get_other_config", vbd["VDI"]))
        if label is not None and _migration_of(label.tag) == migration:
            await labels.remove_label(calls, vbd["VDI"])
    except PoolError as error:
        if error.code not in objects.GONE:  # detached in between
            raise


def _migration_of(text: str) -> str:
    return text.partition("/")[0]


def is_copied(found: str, vm: str) -> bool:
    """Whether the key is another VM's."""
    parts = found.split("/")
    return len(parts) > 3 and parts[3] != vm


def _gives_way(found: str, key: str, migration: str) -> bool:
    return _migration_of(found) == migration and _epoch_of(found) <= _epoch_of(key)


def _epoch_of(key: str) -> int:
    """0 for a key that says none."""
    epoch = key.partition("/")[2].partition("/")[0]
    return int(epoch) if epoch.isdecimal() else 0


def _claimed(vm: str, key: str) -> ForbiddenOperation:
    return ForbiddenOperation(
        f"another migration has taken the VM {vm}: {_migration_of(key)}",
        code="SOURCE_CLAIMED",
        evidence={
            "operation": "warmMigration",
            "reason": f"another migration holds the key {DOOR} of this VM",
            "key": key,
            "objectId": vm,
        },
        remedy=(
            f"look for migration {_migration_of(key)} on the other xo-warmig servers of this pool and cancel it there, or stop"
            f" that server; if none has it, remove the key {DOOR} from the other_config of the VM by hand"
        ),
    )
