"""What is being done to a storage repository at this moment, and what its pool lets nobody do to it."""

from collections.abc import Iterator, Mapping

from xo_warmig.errors import ForbiddenOperation
from xo_warmig.model.reports import Warning_
from xo_warmig.model.vm import StorageRepository
from xo_warmig.replication.preflight.surroundings import Found

# Those of XAPI's storage_operations after which it is not there, or not on a host.
_GOING = frozenset({"destroy", "forget", "unplug", "pbd_destroy"})
_MAKING = "vdi_create"
# Work on single disks, which lasts for seconds and is done one after the other.
_OF_DISKS = "vdi_"


def of_operations(sr: StorageRepository, path: Mapping[str, object], *, makes_disks: bool) -> Iterator[Found]:
    """``path``: where it stands in the request. ``makes_disks``: it is to get some, and takes them by its kind."""
    going = sorted(_GOING.intersection(sr.current_operations))
    if going:
        yield ForbiddenOperation(
            f"SR {sr.name_label!r} is being taken away: {going[0]} is in progress",
            code="SR_GOING",
            evidence={**path, "operation": going[0], "reason": f"{going[0]} is in progress", "objectId": sr.uuid},
            remedy="wait until that has ended, and plug it again, or choose another SR",
        )
    elif makes_disks and _is_closed(sr):
        busy = sorted(sr.current_operations)
        why = f"{busy[0]} is in progress" if busy else "it does not say why"
        yield Warning_(
            code="SR_BUSY",
            message=f"its pool lets no disk be made on SR {sr.name_label!r} now ({why}): that is waited for, and without it the migration "
            "fails before anything is copied",
            evidence={"sr": sr.uuid, "operations": busy, "allowed": sorted(sr.allowed_operations)},
            remedy="wait until that has ended, or see what its pool says of it (xe sr-param-list)",
        )


def _is_closed(sr: StorageRepository) -> bool:
    """Whether its pool lets nobody make a disk there, for longer than another disk takes.

    While something is in progress XAPI allows nothing at all, or more plugging beside a plugging (ocaml/xapi/xapi_sr_operations.ml): an
    empty list says nothing by itself, as that is what a pool has that does not tell.
    """
    if sr.allowed_operations:
        return _MAKING not in sr.allowed_operations
    return any(not operation.startswith(_OF_DISKS) for operation in sr.current_operations)
