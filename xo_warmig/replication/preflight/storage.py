"""The storage repositories that are to take the disks."""

from collections.abc import Iterator, Mapping, Sequence

from xo_warmig.errors import InvalidRequest
from xo_warmig.model.reports import Note, Warning_
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.model.vm import Disk, StorageRepository, Vm
from xo_warmig.replication.large_disks import too_large_for
from xo_warmig.replication.preflight.operations import of_operations
from xo_warmig.replication.preflight.surroundings import Found, Surroundings


def of_storage(request: WarmMigrationRequest, vm: Vm, srs: Mapping[str, str], around: Surroundings) -> Iterator[Found]:
    """Only SRs that get a disk are looked at; a VM without disks gets none and goes by its ``sr`` all the same."""
    for sr in around.srs.values():
        disks = [disk for disk in vm.disks if srs[disk.vdi] == sr.uuid]
        if disks or not vm.disks:
            yield from _of_target(request, sr, disks, around)
    yield from _same_sr(request, vm, srs, around)
    yield from _not_readable(vm, around)
    yield from _on_both_pools(vm, around)


def _of_target(
    request: WarmMigrationRequest, sr: StorageRepository, disks: Sequence[Disk], around: Surroundings
) -> Iterator[Found]:
    """``disks``: those that it is to get."""
    path = {"instancePath": _sr_path(request, disks, sr.uuid), "sr": sr.uuid}
    reason = _not_writable(sr)
    if reason is not None:
        yield InvalidRequest(
            f"disks cannot be made on SR {sr.name_label!r}: {reason}",
            code="SR_NOT_WRITABLE",
            evidence=path | {"reason": reason},
            remedy="choose another SR",
        )
    yield from of_operations(sr, path, makes_disks=reason is None)
    yield from too_large_for(sr, disks, path)
    yield from _unplugged(sr, around)
    if disks and not sr.reads_as_zero:
        yield Note(
            code="SR_NOT_ZEROED",
            message=f"new disks of SR {sr.name_label!r} ({sr.type}) hold what their last owner left: every zero of the source is sent",
            evidence={"sr": sr.uuid, "bytes": sum(disk.virtual_size_bytes for disk in disks)},
        )


def _same_sr(
    request: WarmMigrationRequest, vm: Vm, srs: Mapping[str, str], around: Surroundings
) -> Iterator[InvalidRequest | Note]:
    """Within one pool some disks may stay on their SR while others move; when none would, the request is a mistake.

    An SR that two pools have is never both ends of a copy: the one does not know what the other makes there.
    """
    staying = [disk for disk in vm.disks if disk.sr == srs[disk.vdi] and disk.sr in around.srs]
    allowed = vm.pool == around.target_pool and len(staying) < len(vm.disks)
    for uuid in sorted({disk.sr for disk in staying}):
        sr, disks = around.srs[uuid], [disk for disk in staying if disk.sr == uuid]
        if allowed:
            yield Note(
                code="DISK_STAYS_ON_SR",
                message=f"{len(disks)} of {len(vm.disks)} disks are copied within SR {sr.name_label!r}: they take their room there twice "
                "until the source is deleted",
                evidence={"sr": uuid, "disks": [disk.vdi for disk in disks]},
            )
        else:
            yield InvalidRequest(
                f"SR {sr.name_label!r} holds the VM's disks already",
                code="SAME_SR",
                evidence={
                    "instancePath": _sr_path(request, disks, uuid),
                    "sr": uuid,
                    "disks": [disk.vdi for disk in disks],
                },
                remedy="choose another SR, for one disk at least",
            )


def _not_readable(vm: Vm, around: Surroundings) -> Iterator[Found]:
    """Disks are read through a host that has their SR attached."""
    for uuid in sorted({disk.sr for disk in vm.disks}):
        sr = around.source_srs.get(uuid)
        if sr is not None and not sr.plugged:
            yield InvalidRequest(
                f"SR {sr.name_label!r}, which holds disks of the VM, is not plugged into any live host, so they cannot be read",
                code="SR_NOT_READABLE",
                evidence={"instancePath": "/vm", "sr": uuid},
                remedy="plug it into a host of the source's pool",
            )
        if sr is not None and uuid not in around.srs:
            yield from of_operations(sr, {"instancePath": "/vm", "sr": uuid}, makes_disks=False)


def _on_both_pools(vm: Vm, around: Surroundings) -> Iterator[Warning_]:
    """Two pools that have an SR attached write to it without knowing of each other."""
    if vm.pool == around.target_pool:
        return
    ends = {sr.uuid: sr for sr in (*around.source_srs.values(), *around.srs.values())}
    for uuid in sorted(ends.keys() & set(around.source_facts.srs) & set(around.target_facts.srs)):
        yield Warning_(
            code="SR_ON_BOTH_POOLS",
            message=f"SR {ends[uuid].name_label!r} is attached to both pools: each may coalesce or remove what the other one uses, which "
            "costs data",
            evidence={"sr": uuid},
            remedy="detach it from one of them",
            needs_force=True,
        )


def _unplugged(sr: StorageRepository, around: Surroundings) -> Iterator[Warning_]:
    """Hosts that should reach it and do not."""
    hosts = [host for host in around.target_facts.hosts if sr.uuid in host.srs_unplugged]
    if hosts and sr.plugged:
        yield Warning_(
            code="SR_NOT_EVERYWHERE",
            message=f"SR {sr.name_label!r} is not attached to {', '.join(host.name_label for host in hosts)}: the target cannot run there",
            evidence={"sr": sr.uuid, "hosts": [host.uuid for host in hosts]},
            remedy="plug it there again",
        )


def _sr_path(request: WarmMigrationRequest, disks: Sequence[Disk], sr: str) -> str:
    """Where in the request the SR stands."""
    mapped = [disk.vdi for disk in disks if disk.vdi in request.map_vdis_srs]
    return f"/mapVdisSrs/{mapped[0]}" if mapped and sr != request.sr else "/sr"


def _not_writable(sr: StorageRepository) -> str | None:
    if sr.content_type == "iso" or sr.type == "iso":
        return "it holds ISO images"
    if not sr.allows_create:
        return f"its type ({sr.type}) takes no new disks"
    if not sr.plugged:
        return "it is not plugged into any live host"
    return None
