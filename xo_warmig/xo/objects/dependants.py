"""Which objects must be made anew when a record changed.

Not followed are mere links to a record that comes or goes, where XAPI changes the record with the link too, in the same batch of
events: a VM goes with its VBDs, a network only without VIFs. To be made anew are therefore all objects of a batch, after all of its
records were put or removed. Nor is followed what changes only when a pool is upgraded and its servers start anew: the release of the
master, which decides what a VM's nested virtualization is read from.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from xo_warmig.xo.objects.records import Place, PoolRecords, Record, exists


def dependants(cls: str, ref: str, record: Record, pool: PoolRecords) -> set[Place]:
    """Class and reference of the other records whose objects are made from this one too.

    For a record that is new or not as it was, after ``put``; for one that is gone with its last record, after ``remove``.
    """
    followed = _FOLLOWED.get(cls)
    places = set() if followed is None else set(followed(ref, record, pool))
    return {place for place in places | pool.namers(ref) if pool.get(*place) is not None} - {(cls, ref)}


def _of_vbd(ref: str, record: Record, pool: PoolRecords) -> Iterator[Place]:
    yield from _fields(record, ("VM", "VM"), ("VDI", "VDI"))


def _of_vif(ref: str, record: Record, pool: PoolRecords) -> Iterator[Place]:
    yield from _fields(record, ("VM", "VM"), ("network", "network"))


def _of_vdi(ref: str, record: Record, pool: PoolRecords) -> Iterator[Place]:
    """Its SR, what it is a snapshot of, who has it, and the images above it: what their chains use changes with it."""
    yield from _fields(record, ("SR", "SR"), ("VDI", "snapshot_of"))
    for vbd in record.get("VBDs", ()):
        yield "VBD", vbd
        yield from _vm_of(vbd, pool)
    yield from _above(record["uuid"], pool)


def _of_sr(ref: str, record: Record, pool: PoolRecords) -> Iterator[Place]:
    """Its PBDs, and the VMs with a disk on it: theirs is the container that an SR of one host has."""
    yield from _all("PBD", record.get("PBDs", ()))
    yield from _vms_on(record, pool)


def _of_pbd(ref: str, record: Record, pool: PoolRecords) -> Iterator[Place]:
    yield from _fields(record, ("SR", "SR"), ("host", "host"))
    sr = pool.get("SR", record.get("SR"))
    if sr is not None and not sr["shared"]:
        yield from _vms_on(sr, pool)


def _of_host(ref: str, record: Record, pool: PoolRecords) -> Iterator[Place]:
    if pool.pool.get("master") == ref:
        yield from _all("pool", pool.all_of("pool"))


def _of_pif(ref: str, record: Record, pool: PoolRecords) -> Iterator[Place]:
    yield from _fields(record, ("network", "network"), ("host", "host"))


def _of_bond(ref: str, record: Record, pool: PoolRecords) -> Iterator[Place]:
    yield from _fields(record, ("PIF", "master"))
    yield from _all("PIF", record.get("slaves", ()))


def _of_vm(ref: str, record: Record, pool: PoolRecords) -> Iterator[Place]:
    """What it is a snapshot of, and the host that it is on."""
    yield from _fields(record, ("VM", "snapshot_of"), ("host", "resident_on"))


def _of_a_part_of_a_vm(ref: str, record: Record, pool: PoolRecords) -> Iterator[Place]:
    yield from _fields(record, ("VM", "VM"))


def _of_a_part_of_a_host(ref: str, record: Record, pool: PoolRecords) -> Iterator[Place]:
    yield from _fields(record, ("host", "host"))


def _of_pool_update(ref: str, record: Record, pool: PoolRecords) -> Iterator[Place]:
    yield from _all("host", record.get("hosts", ()))


_FOLLOWED: Final[dict[str, Callable[[str, Record, PoolRecords], Iterable[Place]]]] = {
    "Bond": _of_bond,
    "Certificate": _of_a_part_of_a_host,
    "host": _of_host,
    "host_patch": _of_a_part_of_a_host,
    "PBD": _of_pbd,
    "PCI": _of_a_part_of_a_host,
    "PGPU": _of_a_part_of_a_host,
    "PIF": _of_pif,
    "pool_update": _of_pool_update,
    "SR": _of_sr,
    "VBD": _of_vbd,
    "VDI": _of_vdi,
    "VGPU": _of_a_part_of_a_vm,
    "VIF": _of_vif,
    "VM": _of_vm,
    "VTPM": _of_a_part_of_a_vm,
}


def _fields(record: Record, *fields: tuple[str, str]) -> Iterator[Place]:
    """What these fields, each after its class, refer to."""
    for cls, field in fields:
        if exists(record.get(field)):
            yield cls, record[field]


def _all(cls: str, refs: Iterable[Any]) -> Iterator[Place]:
    return ((cls, ref) for ref in refs)


def _vm_of(vbd: str, pool: PoolRecords) -> Iterator[Place]:
    record = pool.get("VBD", vbd)
    if record is not None:
        yield "VM", record["VM"]


def _vms_on(sr: Record, pool: PoolRecords) -> Iterator[Place]:
    for vdi in sr.get("VDIs", ()):
        for vbd in (pool.get("VDI", vdi) or {}).get("VBDs", ()):
            yield from _vm_of(vbd, pool)


def _above(uuid: str, pool: PoolRecords) -> Iterator[Place]:
    found: set[Place] = set()
    left = [uuid]
    while left:
        fresh = pool.namers(left.pop()) - found
        found |= fresh
        left += [record["uuid"] for place in fresh if (record := pool.get(*place)) is not None]
    yield from found
