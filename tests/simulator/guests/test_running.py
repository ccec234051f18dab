"""Guests as their VMs start and stop."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from xo_warmig.errors import InvalidRequest, NoSuchObject
from xo_warmig.simulator.database import Database
from xo_warmig.simulator.delays import Delays
from xo_warmig.simulator.guests import Guests
from xo_warmig.simulator.site import GuestConfig
from xo_warmig.simulator.storage import BLOCK, ChainStore


class World:
    """A VM with one disk of 16 blocks and one of 4."""

    def __init__(self, directory: Path) -> None:
        self.db = Database()
        self.storage = ChainStore(directory / "storage")
        self.guests = Guests(self.db, self.storage, Delays(), directory / "guests")
        self.vm = self.db.create("VM", name_label="vm")
        for device, blocks in ((1, 4), (0, 16)):
            uuid = f"disk{device}"
            vdi = self.db.create("VDI", uuid=uuid, virtual_size=blocks * BLOCK)
            self.storage.create(uuid, blocks * BLOCK)
            self.db.create("VBD", VM=self.vm, VDI=vdi, userdevice=str(device), type="Disk", mode="RW", empty=False)

    def start(self, **config: Any) -> None:
        text = msgspec.json.encode(GuestConfig(**config)).decode()
        self.db.set("VM", self.vm, other_config={"sim:guest": text})
        self.guests.start(self.vm)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.guests.stop_all()


def eventually(condition: Any) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_guest_writes_at_its_rate_until_it_is_stopped(world: World) -> None:
    """And once more at the end."""
    world.start(kind="blocks", rate=50 << 20, cluster=4096)
    eventually(lambda: world.guests.report(world.vm)["bytes"] > 0)
    assert world.guests.stop(world.vm) is True
    written = world.guests.report(world.vm)
    assert written["running"] is False
    assert world.storage.allocated_blocks("disk0") != []
    time.sleep(0.1)
    assert world.guests.report(world.vm) == written


def test_disks_are_counted_by_device(world: World) -> None:
    """Position 1 is the second disk, whatever the order of the records."""
    world.start(kind="blocks", rate=0, cluster=4096, disks=[1])
    world.guests.write_now(world.vm, 8192)
    assert world.storage.allocated_blocks("disk0") == []
    assert world.storage.allocated_blocks("disk1") != []


def test_a_paused_guest_writes_nothing(world: World) -> None:
    """Until it goes on."""
    world.start(kind="blocks", rate=10 << 20, cluster=4096)
    world.guests.pause(world.vm)
    before = world.guests.report(world.vm)["bytes"]
    time.sleep(0.15)
    assert world.guests.report(world.vm)["bytes"] == before
    world.guests.unpause(world.vm)
    eventually(lambda: world.guests.report(world.vm)["bytes"] > before)


def test_a_guest_may_ignore_a_shutdown(world: World) -> None:
    """But not the power cut, and it may still halt by itself."""
    world.start(kind="blocks", rate=0, ignores_shutdown=True)
    assert world.guests.ignores_shutdown(world.vm)
    assert world.guests.stop(world.vm) is False
    assert world.guests.report(world.vm)["running"] is True
    world.guests.halt(world.vm)
    assert world.guests.report(world.vm)["running"] is False


def test_a_power_cut_writes_nothing_more(world: World) -> None:
    """No last write."""
    world.start(kind="blocks", rate=0)
    world.guests.kill(world.vm)
    assert world.guests.report(world.vm)["bytes"] == 0


def test_the_rate_can_be_changed(world: World) -> None:
    """From nothing to something."""
    world.start(kind="blocks", rate=0, cluster=4096)
    world.guests.set_rate(world.vm, 10 << 20)
    eventually(lambda: world.guests.report(world.vm)["bytes"] > 0)


def test_an_error_ends_the_writing_and_is_told(world: World) -> None:
    """The VM runs on, as a real one would."""
    world.start(kind="blocks", rate=0, cluster=4096)
    world.storage.destroy("disk0")
    assert world.guests.write_now(world.vm, 4096) == 0
    assert "disk0" in world.guests.report(world.vm)["error"]


def test_a_guest_without_orders_is_idle(world: World) -> None:
    """Every VM has a guest, if only one that does nothing."""
    world.guests.start(world.vm)
    assert world.guests.stop(world.vm) is True
    with pytest.raises(NoSuchObject):
        world.guests.write_now(world.vm, 1)


def test_unknown_orders_are_refused(world: World) -> None:
    """Not run as something else."""
    with pytest.raises(InvalidRequest):
        world.start(kind="games")
    world.db.set("VM", world.vm, other_config={"sim:guest": "rubbish"})
    with pytest.raises(InvalidRequest):
        world.guests.start(world.vm)


def offsets(world: World) -> Any:
    return world.db.row("VM", world.vm)["platform"].get("timeoffset")


def test_a_guest_changes_its_own_state(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """From time to time, and once more when it shuts down; not when its power is cut."""
    monkeypatch.setattr("xo_warmig.simulator.guests.guest.STATE_SECONDS", 0.1)
    world.db.set("VM", world.vm, power_state="Running")
    world.start(kind="blocks", rate=0)
    eventually(lambda: offsets(world) is not None)
    first = offsets(world)
    eventually(lambda: offsets(world) != first)
    world.guests.pause(world.vm)
    before = offsets(world)
    time.sleep(0.3)
    assert offsets(world) == before
    world.guests.stop(world.vm)
    last = offsets(world)
    assert last != before
    world.start(kind="blocks", rate=0)
    world.guests.kill(world.vm)
    assert offsets(world) == last


@pytest.mark.parametrize("config", [{"kind": "none"}, {"kind": "blocks", "changes_state": False}])
def test_a_guest_may_leave_its_state_alone(world: World, config: dict[str, Any]) -> None:
    """As one that writes nothing does."""
    world.db.set("VM", world.vm, power_state="Running")
    world.start(**config)
    world.guests.change_state(world.vm)
    world.guests.stop(world.vm)
    assert offsets(world) is None
