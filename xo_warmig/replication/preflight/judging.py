"""All subjects together. Errors come in the order in which they should be told: the first one refuses the request."""

from collections.abc import Iterator, Mapping

from xo_warmig.errors import InvalidRequest, WarmigError
from xo_warmig.model.plans import MigrationPlan
from xo_warmig.model.reports import Note, Warning_
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.model.vm import Vm
from xo_warmig.replication.addresses import choose_addresses
from xo_warmig.replication.large_disks import large_disk_errors, large_disk_warnings
from xo_warmig.replication.nbd_only import nbd_only_errors
from xo_warmig.replication.networks import choose_networks
from xo_warmig.replication.preflight.devices import of_devices
from xo_warmig.replication.preflight.disks import of_disks
from xo_warmig.replication.preflight.encryption import of_encryption
from xo_warmig.replication.preflight.hosts import of_hosts
from xo_warmig.replication.preflight.identity import of_identity
from xo_warmig.replication.preflight.interfaces import of_interfaces
from xo_warmig.replication.preflight.licences import of_licences
from xo_warmig.replication.preflight.machine import of_machine
from xo_warmig.replication.preflight.pools import of_pools
from xo_warmig.replication.preflight.reading_back import of_reading_back
from xo_warmig.replication.preflight.releases import of_releases
from xo_warmig.replication.preflight.request import of_maps, of_request
from xo_warmig.replication.preflight.space import of_space
from xo_warmig.replication.preflight.storage import of_storage
from xo_warmig.replication.preflight.surroundings import Found, Preflight, Surroundings
from xo_warmig.replication.preflight.tracking import of_tracking
from xo_warmig.replication.preflight.vm import of_vm, told_of_vm
from xo_warmig.replication.preflight.vtpms import of_vtpms


def preflight(request: WarmMigrationRequest, vm: Vm, around: Surroundings) -> Preflight:
    """Look at everything; the plan when nothing stands against it."""
    srs = {disk.vdi: request.map_vdis_srs.get(disk.vdi, request.sr) for disk in vm.disks}
    networks, network_errors = choose_networks(vm, around.networks, request.map_vifs_networks)
    addresses, address_errors = choose_addresses(vm, request.mac_addresses)
    found = [*_found(request, vm, srs, around), *network_errors, *address_errors]
    found += [*_told(request, vm, srs, networks, around), *of_identity(vm, addresses, around.twins)]
    notes = [each for each in found if isinstance(each, Note)]
    warnings = [each for each in found if isinstance(each, Warning_) and not isinstance(each, Note)]
    errors = [each for each in found if isinstance(each, WarmigError)]
    errors += _force_errors(request, warnings)
    if errors:
        return Preflight(errors, warnings, None, notes)
    plan = MigrationPlan(
        vm=vm,
        source_pool=vm.pool,
        source_pool_name=vm.pool_name,
        target_pool=around.target_pool,
        target_pool_name=around.target_pool_name,
        srs=srs,
        networks=networks,
        zeroed_srs=sorted(sr.uuid for sr in around.srs.values() if sr.reads_as_zero),
        addresses=addresses,
        warnings=warnings,
    )
    return Preflight([], warnings, plan, notes)


def _found(request: WarmMigrationRequest, vm: Vm, srs: Mapping[str, str], around: Surroundings) -> Iterator[Found]:
    """Of the request, the VM, and what its disks need."""
    yield from of_request(request, around.now)
    yield from of_vm(request, vm, around.ours)
    yield from of_maps(request, vm, around)
    yield from of_storage(request, vm, srs, around)
    yield from of_disks(vm)
    yield from nbd_only_errors(request, vm, around.against_blocks)
    yield from large_disk_errors(request, vm, around.against_blocks, around.against_read_back)
    yield from of_space(vm, srs, around)


def _told(
    request: WarmMigrationRequest,
    vm: Vm,
    srs: Mapping[str, str],
    networks: Mapping[str, str],
    around: Surroundings,
) -> Iterator[Found]:
    """Of what is around, and what is only told."""
    yield from of_releases(vm, srs, around)
    yield from of_vtpms(vm, around)
    yield from of_licences(vm, around.target_facts)
    yield from of_machine(vm, around)
    yield from of_devices(vm, around.target_facts)
    yield from of_hosts(request, vm, srs, networks, around)
    yield from of_tracking(request, vm, around)
    yield from told_of_vm(request, vm)
    yield from large_disk_warnings(vm, around.against_listing, around.against_read_back)
    yield from of_reading_back(request, vm, around)
    yield from of_interfaces(request, vm, networks, around)
    yield from of_pools(vm, srs, around)
    yield from of_encryption(request, vm, around)


def _force_errors(request: WarmMigrationRequest, warnings: list[Warning_]) -> Iterator[InvalidRequest]:
    """What costs data, or downtime by an option, has to be accepted by whoever asks."""
    codes = sorted({each.code for each in warnings if each.needs_force})
    if codes and not request.force:
        yield InvalidRequest(
            f"the migration may cost data or more downtime than it should, and that was not accepted: {', '.join(codes)}",
            code="FORCE_NEEDED",
            evidence={"instancePath": "/force", "codes": codes},
            remedy="see to what these warnings say, or set force to true",
        )
