"""A member without power: what its pool says of it, what is refused meanwhile, and how it comes back."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from tests.simulator.conftest import Client
from xo_warmig.errors import InvalidRequest
from xo_warmig.simulator import addresses
from xo_warmig.simulator.calls.outage import bring_up, miss, take_down
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.server import PoolServer
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VmConfig

MIB = 1 << 20
ON_THE_MEMBER = 2  # after the master's two


@pytest.fixture
def pool(new_pool: Callable[..., SimPool]) -> SimPool:
    """Two hosts; a VM runs on the second, where its disk is."""
    disk = DiskConfig(size_bytes=8 * MIB, allocated_bytes=2 * MIB, sr=ON_THE_MEMBER)
    vm = VmConfig(name_label="vm", memory_bytes=256 * MIB, disks=[disk], guest=GuestConfig(kind="blocks", rate=0))
    hosts, port = addresses.pick(2)
    return new_pool(hosts=2, addresses=hosts, port=port, vms=[vm])


@pytest.fixture
def member(pool: SimPool) -> str:
    (ref,) = [host for host in pool.db.refs("host") if host != pool.master]
    return ref


@pytest.fixture
def vm(pool: SimPool) -> str:
    (ref,) = pool.db.find("VM", name_label="vm")
    return ref


@pytest.fixture
def served(pool: SimPool) -> Iterator[SimPool]:
    running = PoolServer(pool)
    running.start()
    yield pool
    running.stop()


def answers(pool: SimPool, host: str) -> bool:
    try:
        with socket.create_connection((pool.db.row("host", host)["address"], pool.config.port), 5):
            return True
    except ConnectionRefusedError:
        return False


def refused(client: Client, method: str, *args: Any) -> list[str]:
    with pytest.raises(XapiFailure) as failure:
        client(method, *args)
    return failure.value.details


def disk_of(client: Client, vm: str) -> str:
    (vdi,) = [client("VBD.get_VDI", vbd) for vbd in client("VM.get_VBDs", vm) if client("VBD.get_type", vbd) == "Disk"]
    return str(vdi)


def test_the_vm_is_where_its_disk_is(client: Client, member: str, vm: str) -> None:
    """So that all the others say something."""
    assert client("VM.get_resident_on", vm) == member


def test_its_address_refuses_until_it_is_up(served: SimPool, member: str) -> None:
    """The master's goes on to answer."""
    take_down(served, member)
    assert not answers(served, member)
    assert answers(served, served.master)
    bring_up(served, member)
    assert answers(served, member)


def test_its_records_are_as_before_but_for_the_heartbeat(pool: SimPool, client: Client, member: str, vm: str) -> None:
    """The VM is running, its disk attached and the PBDs plugged, for all that the master knows."""
    take_down(pool, member)
    miss(pool, member)
    assert client("host_metrics.get_live", client("host.get_metrics", member)) is False
    assert client("VM.get_power_state", vm) == "Running"
    assert client("VM.get_resident_on", vm) == member
    assert all(client("PBD.get_currently_attached", pbd) for pbd in client("host.get_PBDs", member))
    assert f"host_{member}" in client("VDI.get_sm_config", disk_of(client, vm))


@pytest.mark.parametrize(("missed", "code"), [(False, "CANNOT_CONTACT_HOST"), (True, "HOST_OFFLINE")])
def test_what_it_would_carry_out_is_refused(
    pool: SimPool, client: Client, member: str, vm: str, missed: bool, code: str
) -> None:
    """Its VMs, the disks on its own storage, and itself; the code says whether the master has missed it."""
    disk = disk_of(client, vm)
    take_down(pool, member)
    if missed:
        miss(pool, member)
    for method, *args in (
        ("VM.clean_shutdown", vm),
        ("VM.hard_shutdown", vm),
        ("VDI.snapshot", disk),
        ("SR.scan", client("VDI.get_SR", disk)),
        ("host.get_servertime", member),
    ):
        assert refused(client, method, *args) == [code, member], method
    assert client("VDI.get_current_operations", disk) == client("VM.get_current_operations", vm) == {}


def test_a_snapshot_of_its_vm_has_no_host(pool: SimPool, client: Client, member: str, vm: str) -> None:
    """Another host may take it where it sees the disks: here none does."""
    take_down(pool, member)
    miss(pool, member)
    assert refused(client, "VM.snapshot", vm, "now") == ["NO_HOSTS_AVAILABLE"]


def test_a_vm_does_not_start_there(pool: SimPool, client: Client, member: str, vm: str) -> None:
    """Named, it is not live; of XAPI's choice, there is no host."""
    client("VM.hard_shutdown", vm)
    take_down(pool, member)
    assert refused(client, "VM.start", vm, False, False) == ["CANNOT_CONTACT_HOST", member]
    miss(pool, member)
    assert refused(client, "VM.start_on", vm, member, False, False) == ["HOST_NOT_LIVE"]
    assert refused(client, "VM.start", vm, False, False) == ["NO_HOSTS_AVAILABLE"]


def test_declared_dead_it_gives_its_vms_up(pool: SimPool, client: Client, member: str, vm: str) -> None:
    """Which nobody may say of a host that answers."""
    assert refused(client, "host.declare_dead", member) == ["HOST_IS_LIVE", member]
    assert refused(client, "VM.power_state_reset", vm) == ["HOST_IS_LIVE", member]
    take_down(pool, member)
    client("host.declare_dead", member)
    assert client("VM.get_power_state", vm) == "Halted"
    assert client("host.get_enabled", member) is False
    assert f"host_{member}" not in client("VDI.get_sm_config", disk_of(client, vm))


def test_back_again_it_runs_nothing(pool: SimPool, client: Client, member: str, vm: str) -> None:
    """The VM is halted and starts; the time of boot is another, by which a client knows."""
    before = client("host.get_other_config", member)["boot_time"]
    take_down(pool, member)
    miss(pool, member)
    bring_up(pool, member)
    assert client("VM.get_power_state", vm) == "Halted"
    assert client("host.get_other_config", member)["boot_time"] != before
    client("VM.start", vm, False, False)
    assert client("VM.get_resident_on", vm) == member


def test_it_has_lost_what_was_fresh_in_its_logs(pool: SimPool, client: Client, member: str, vm: str) -> None:
    """Its start turns changed block tracking off, as after any crash."""
    disk = disk_of(client, vm)
    client("VDI.enable_cbt", disk)
    take_down(pool, member)
    bring_up(pool, member)
    client("VM.start", vm, False, False)
    assert client("VDI.get_cbt_enabled", disk) is False


def test_a_pool_that_is_restarted_has_it_again(new_pool: Callable[..., SimPool], pool: SimPool, member: str) -> None:
    """Its records are on disk, and the host has started with the toolstack."""
    take_down(pool, member)
    miss(pool, member)
    pool.stopping.set()
    assert pool.journal is not None
    pool.journal.close()
    again = new_pool(**{name: getattr(pool.config, name) for name in msgspec.structs.asdict(pool.config)})
    assert again.db.row("host_metrics", again.db.row("host", member)["metrics"])["live"]
    assert not again.down


def test_the_master_is_not_taken_down_so(pool: SimPool) -> None:
    """Nobody would be left to ask for its coming back."""
    with pytest.raises(InvalidRequest):
        take_down(pool, pool.master)
