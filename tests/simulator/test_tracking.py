"""Logs of changed blocks as hosts take and release disks, and what a crash makes of them."""

import base64
from typing import Any

import pytest

from xo_warmig.simulator import attach
from xo_warmig.simulator.assembly import close_pool
from xo_warmig.simulator.crash import crash_host
from xo_warmig.simulator.dispatcher import Request, answer
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VmConfig

GRAIN = 65536
VM = VmConfig(
    name_label="vm",
    disks=[DiskConfig(size_bytes=32 << 20, name_label="disk")],
    guest=GuestConfig(kind="blocks", rate=0, cluster=GRAIN, changes_state=False),
)


class Tracked:
    """A pool with a running VM, whose disk is tracked and has a first snapshot."""

    def __init__(self, pool: SimPool) -> None:
        self.pool = pool
        self.login()
        (self.vm,) = pool.db.find("VM", name_label="vm")
        (self.vdi,) = pool.db.find("VDI", name_label="disk", is_a_snapshot=False)
        self.uuid = pool.db.row("VDI", self.vdi)["uuid"]

    def login(self) -> None:
        self.session = self.pool.sessions.login("root", "tests", self.pool.master)

    def __call__(self, method: str, *args: Any) -> Any:
        return answer(Request(self.pool, self.pool.master, method, (self.session, *args))).value

    def changed(self, first: str, second: str) -> int:
        """How many blocks may differ."""
        return sum(byte.bit_count() for byte in base64.b64decode(self("VDI.list_changed_blocks", first, second)))

    def is_consistent(self) -> bool:
        return self.pool.storage.logs.is_consistent(self.uuid)

    def read_only(self) -> None:
        """As an export or an NBD client does."""
        with attach.attached(self.pool, self.vdi, self.pool.master, "RO"):
            pass


@pytest.fixture
def tracked(new_pool: Any) -> Tracked:
    return Tracked(new_pool(vms=[VM]))


@pytest.fixture
def base(tracked: Tracked) -> str:
    tracked("VDI.enable_cbt", tracked.vdi)
    return str(tracked("VDI.snapshot", tracked.vdi))


def test_what_a_guest_writes_is_tracked(tracked: Tracked, base: str) -> None:
    """To the last write, which it does while it shuts down."""
    assert not tracked.is_consistent()
    assert tracked.pool.guests.write_now(tracked.vm, 3 * GRAIN) == 3 * GRAIN
    second = tracked("VDI.snapshot", tracked.vdi)
    assert 1 <= tracked.changed(base, second) <= 3
    tracked("VM.clean_shutdown", tracked.vm)
    assert tracked.is_consistent()
    assert tracked.changed(second, tracked.vdi) == 1


def test_a_log_is_open_while_the_disk_is_written_to(tracked: Tracked, base: str) -> None:
    """By a VM or by an import; those who only read do not open it."""
    pool, vdi = tracked.pool, tracked.vdi
    tracked("VM.hard_shutdown", tracked.vm)
    for mode in ("RO", "RW"):
        with attach.attached(pool, vdi, pool.master, mode):
            assert tracked.is_consistent() is (mode == "RO")
        assert tracked.is_consistent()
    tracked("VM.start", tracked.vm, False, False)
    assert not tracked.is_consistent()
    tracked.read_only()
    assert not tracked.is_consistent(), "the host still has the disk"
    tracked("VM.suspend", tracked.vm)
    assert tracked.is_consistent()
    tracked("VM.resume", tracked.vm, False, False)
    assert not tracked.is_consistent()
    assert pool.db.row("VDI", vdi)["cbt_enabled"]


def test_after_a_crash_the_next_writer_turns_tracking_off(tracked: Tracked, base: str) -> None:
    """And a message says so. The snapshot keeps its log, but nothing leads from it to the disk."""
    pool, db = tracked.pool, tracked.pool.db
    tracked.pool.guests.write_now(tracked.vm, GRAIN)
    crash_host(pool, pool.master)
    tracked.login()
    row = db.row("VM", tracked.vm)
    assert (row["power_state"], row["resident_on"]) == ("Halted", "OpaqueRef:NULL")
    assert not any(key.startswith("host_") for key in db.row("VDI", tracked.vdi)["sm_config"])
    assert not tracked.is_consistent()
    tracked("VM.start", tracked.vm, False, False)
    assert not db.row("VDI", tracked.vdi)["cbt_enabled"]
    (message,) = db.rows("message").values()
    assert (message["name"], message["cls"], message["obj_uuid"], message["priority"]) == (
        "VDI_CBT_METADATA_INCONSISTENT",
        "VDI",
        tracked.uuid,
        3,
    )
    tracked("VM.hard_shutdown", tracked.vm)
    with pytest.raises(Exception, match="SR_BACKEND_FAILURE_460"):
        tracked.changed(base, tracked.vdi)


@pytest.mark.parametrize("how", ["list", "read", "snapshot"])
def test_a_stale_log_that_looks_clean(tracked: Tracked, base: str, how: str) -> None:
    """After a crash the list up to the halted disk misses writes that were done, and no call fails. Whoever reads the disk once, or takes
    a snapshot of it, even makes the log look consistent, so that the next start finds nothing wrong."""
    tracked.pool.guests.write_now(tracked.vm, 3 * GRAIN)
    written = tracked.pool.storage.changed_blocks(tracked.uuid, tracked.pool.db.row("VDI", base)["uuid"])
    assert written
    crash_host(tracked.pool, tracked.pool.master)
    tracked.login()
    to = tracked.vdi
    if how == "read":
        tracked.read_only()
    elif how == "snapshot":
        to = tracked("VDI.snapshot", tracked.vdi)
    assert tracked.changed(base, to) == 0
    tracked("VM.start", tracked.vm, False, False)
    assert tracked.pool.db.row("VDI", tracked.vdi)["cbt_enabled"] is (how != "list")
    assert len(tracked.pool.db.rows("message")) == (how == "list")


def test_what_was_written_before_a_clean_release_survives_a_crash(tracked: Tracked, base: str) -> None:
    """Only what a host had open is lost with it."""
    tracked.pool.guests.write_now(tracked.vm, GRAIN)
    tracked("VM.clean_shutdown", tracked.vm)
    before = tracked.changed(base, tracked.vdi)
    tracked("VM.start", tracked.vm, False, False)
    tracked.pool.guests.write_now(tracked.vm, 20 * GRAIN)
    crash_host(tracked.pool, tracked.pool.master)
    tracked.login()
    assert tracked.changed(base, tracked.vdi) == before > 0


def test_a_crash_of_another_host_changes_nothing(new_pool: Any) -> None:
    """Its own boot time apart."""
    tracked = Tracked(new_pool("two", hosts=2, addresses=["127.0.0.1", "127.0.0.2"], vms=[VM]))
    tracked("VDI.enable_cbt", tracked.vdi)
    base, db = tracked("VDI.snapshot", tracked.vdi), tracked.pool.db
    other = next(host for host in db.refs("host") if host != tracked.pool.master)
    tracked.pool.guests.write_now(tracked.vm, GRAIN)
    crash_host(tracked.pool, other)
    assert db.row("VM", tracked.vm)["power_state"] == "Running"
    assert db.row("host", other)["other_config"]["boot_time"] != "0."
    tracked("VM.hard_shutdown", tracked.vm)
    assert tracked.changed(base, tracked.vdi) == 1


def test_a_restart_of_the_toolstack_changes_nothing(new_pool: Any, tracked: Tracked, base: str) -> None:
    """The guest writes on, and its disk is still open."""
    tracked.pool.guests.write_now(tracked.vm, GRAIN)
    close_pool(tracked.pool)
    again = Tracked(new_pool(vms=[VM]))
    assert not again.is_consistent()
    again.pool.guests.write_now(again.vm, 20 * GRAIN)
    again("VM.hard_shutdown", again.vm)
    assert again.is_consistent()
    assert again.changed(base, again.vdi) > 1
    again("VM.start", again.vm, False, False)
    assert again.pool.db.row("VDI", again.vdi)["cbt_enabled"]


def test_a_vm_that_moves_takes_its_open_log_along(new_pool: Any) -> None:
    """What the former host had open is settled; a crash of it loses nothing then, one of the new host what was written there."""
    tracked = Tracked(new_pool("two", hosts=2, sr_type="nfs", addresses=["127.0.0.1", "127.0.0.2"], vms=[VM]))
    tracked("VDI.enable_cbt", tracked.vdi)
    base, hosts = tracked("VDI.snapshot", tracked.vdi), tracked.pool.db.refs("host")
    first = tracked.pool.db.row("VM", tracked.vm)["resident_on"]
    (second,) = [host for host in hosts if host != first]
    tracked.pool.guests.write_now(tracked.vm, GRAIN)
    tracked("VM.pool_migrate", tracked.vm, second, {})
    assert not tracked.is_consistent()
    crash_host(tracked.pool, first)
    tracked.login()
    tracked.pool.guests.write_now(tracked.vm, 20 * GRAIN)
    crash_host(tracked.pool, second)
    tracked.login()
    assert tracked.changed(base, tracked.vdi) == 1
    assert not tracked.is_consistent()
