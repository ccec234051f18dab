"""Which classes become objects, and how."""

from collections.abc import Callable
from typing import Final

from xo_warmig.xo.objects.disks import pbd, sr, vbd, vdi
from xo_warmig.xo.objects.happenings import message, task
from xo_warmig.xo.objects.host import host
from xo_warmig.xo.objects.networks import network, pif, vif
from xo_warmig.xo.objects.pool import pool
from xo_warmig.xo.objects.records import PoolRecords
from xo_warmig.xo.objects.subject import Subject, XoObject, defined
from xo_warmig.xo.objects.vm import vm

_MAKERS: Final[dict[str, Callable[[Subject], XoObject]]] = {
    "host": host,
    "message": message,
    "network": network,
    "PBD": pbd,
    "PIF": pif,
    "pool": pool,
    "SR": sr,
    "task": task,
    "VBD": vbd,
    "VDI": vdi,
    "VIF": vif,
    "VM": vm,
}

#: The classes whose records become objects.
CONVERTED: Final = frozenset(_MAKERS)

#: The classes whose records are looked at: those, and the ones that say more about them. Not every release has all.
READ: Final = CONVERTED | {
    *("VM_metrics", "VM_guest_metrics", "VTPM", "VGPU"),
    *("host_metrics", "host_patch", "pool_update", "Certificate", "PCI", "PGPU"),
    *("PIF_metrics", "Bond"),
}


def objects_of(pool: PoolRecords) -> dict[str, XoObject]:
    """All objects of a pool, by id."""
    made = (object_of(cls, ref, pool) for cls in sorted(CONVERTED) for ref in pool.all_of(cls))
    return {one["id"]: one for one in made if one is not None}


def object_of(cls: str, ref: str, pool: PoolRecords) -> XoObject | None:
    """The object of a record; None when there is no such record, or its class has no objects.

    It holds maps and lists of the records: not to be changed.
    """
    record, maker = pool.get(cls, ref), _MAKERS.get(cls)
    if record is None or maker is None:
        return None
    of = Subject(cls, ref, record, pool)
    common = {
        "id": of.id,
        "type": cls,
        "uuid": of.field("uuid"),
        "$pool": pool.id,
        "$poolId": pool.id,
        "_xapiRef": ref,
    }
    return defined({**common, **maker(of)})
