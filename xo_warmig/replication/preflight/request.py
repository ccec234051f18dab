"""The request by itself, and the objects that its maps name."""

from collections.abc import Iterator

from xo_warmig.errors import InvalidRequest
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.model.vm import Vm
from xo_warmig.replication.holding import parse_wish
from xo_warmig.replication.preflight.surroundings import Found, Surroundings


def of_request(request: WarmMigrationRequest, now: float) -> Iterator[Found]:
    try:
        wish = parse_wish(request.cutover)
    except InvalidRequest as error:
        yield error
    else:
        if wish.time is not None and wish.time < now:
            yield InvalidRequest(
                f"the time of the cutover, {request.cutover}, is over",
                code="CUTOVER_IN_THE_PAST",
                evidence={"instancePath": "/cutover", "actual": request.cutover},
                remedy='give a later time, or "auto"',
            )
    if request.delete_source_vm and not request.start_destination_vm:
        yield InvalidRequest(
            "the source can be deleted only after the target was seen to boot, and the target is not to be started",
            code="DELETE_WITHOUT_START",
            evidence={"instancePath": "/deleteSourceVm"},
            remedy="set startDestinationVm to true or deleteSourceVm to false",
        )


def of_maps(request: WarmMigrationRequest, vm: Vm, around: Surroundings) -> Iterator[Found]:
    known = {disk.vdi for disk in vm.disks}
    for vdi, sr in request.map_vdis_srs.items():
        if vdi not in known:
            yield InvalidRequest(
                f"{vdi} is no disk of the VM",
                code="UNKNOWN_DISK",
                evidence={"instancePath": f"/mapVdisSrs/{vdi}", "choices": sorted(known)},
            )
        if sr not in around.srs:
            yield InvalidRequest(
                f"SR {sr} is not on pool {around.target_pool_name}",
                code="SR_IN_OTHER_POOL",
                evidence={"instancePath": f"/mapVdisSrs/{vdi}"},
                remedy="all disks of a VM go to one pool",
            )
