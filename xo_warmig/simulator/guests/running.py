"""Which guests run: started, stopped, paused and cut off as their VMs are."""

import shutil
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from xo_warmig.errors import InvalidRequest, NoSuchObject
from xo_warmig.simulator import own_state
from xo_warmig.simulator.database import Database, Row
from xo_warmig.simulator.delays import Delays
from xo_warmig.simulator.guests.block_writes import BlockWrites
from xo_warmig.simulator.guests.file_writes import FileWrites
from xo_warmig.simulator.guests.filesystem import find_tool
from xo_warmig.simulator.guests.guest import Guest
from xo_warmig.simulator.guests.workload import Idle, Workload
from xo_warmig.simulator.site import GuestConfig
from xo_warmig.simulator.storage import ChainStore, Disk

KEY = "sim:guest"  # of VM.other_config: a GuestConfig as JSON


class Guests:
    """The guests of a pool by the reference of their VM. Their temporary files are in ``directory``, under ``guests``."""

    def __init__(self, db: Database, storage: ChainStore, delays: Delays, directory: Path) -> None:
        self._db = db
        self._storage = storage
        self._delays = delays
        self._directory = directory / "guests"
        shutil.rmtree(self._directory, ignore_errors=True)  # what a killed process left
        self._lock = threading.Lock()
        self._guests: dict[str, Guest] = {}
        self._disks: dict[str, list[Disk]] = {}  # those that a guest has open
        self._last: dict[str, dict[str, Any]] = {}  # what guests that have ended had written

    def start(self, vm_ref: str) -> None:
        """The VM runs now. InvalidRequest when its guest is none that can be run here; starting twice does nothing."""
        with self._lock:
            if vm_ref in self._guests:
                return
            config = self.config(vm_ref)
            with ExitStack() as opening:
                disks = [
                    opening.enter_context(self._storage.open(u, writable=True)) for u in self._disks_of(vm_ref, config)
                ]
                workload = self._workload(config, disks)
                guest = Guest(
                    workload,
                    opening.pop_all(),
                    rate=config.rate,
                    ignores_shutdown=config.ignores_shutdown,
                    change_state=partial(self._change_state, vm_ref, config),
                    idle=config.kind == "none",
                )
            self._guests[vm_ref], self._disks[vm_ref] = guest, disks
            guest.start()

    def stop(self, vm_ref: str) -> bool:
        """A clean shutdown: the guest writes what it writes last, and ends. False, after a while, when it ignores the request."""
        self._delays.wait("guest_shutdown")
        if self.ignores_shutdown(vm_ref):
            return False
        self._end(vm_ref, cleanly=True)
        return True

    def kill(self, vm_ref: str) -> None:
        """The power is cut: nothing more is written."""
        self._end(vm_ref, cleanly=False)

    def halt(self, vm_ref: str) -> None:
        """The guest shuts itself down, whatever it does with requests. Its VM's record is the caller's business."""
        self._end(vm_ref, cleanly=True)

    def pause(self, vm_ref: str) -> None:
        if guest := self._guests.get(vm_ref):
            guest.pause()

    def unpause(self, vm_ref: str) -> None:
        if guest := self._guests.get(vm_ref):
            guest.unpause()

    def ignores_shutdown(self, vm_ref: str) -> bool:
        """Whether a request to shut down leads nowhere."""
        guest = self._guests.get(vm_ref)
        return guest is not None and guest.ignores_shutdown

    def stop_all(self) -> None:
        """The pool ends: guests are cut off."""
        for vm_ref in list(self._guests):
            self.kill(vm_ref)

    def write_now(self, vm_ref: str, count_bytes: int) -> int:
        """Let the guest write at once; returns the bytes."""
        return self._running(vm_ref).write_now(count_bytes)

    def change_state(self, vm_ref: str) -> None:
        """Let the guest change its VM's own state at once."""
        self._running(vm_ref).change_state_now()

    def set_rate(self, vm_ref: str, rate: float) -> None:
        """Bytes a second from now on."""
        self._running(vm_ref).set_rate(rate)

    def report(self, vm_ref: str) -> dict[str, Any]:
        """What the guest has written; of one that has ended, what it had written."""
        guest = self._guests.get(vm_ref)
        if guest is not None:
            return {"running": True} | guest.report()
        return {"running": False} | self._last.get(vm_ref, {})

    def written(self) -> dict[str, dict[str, int]]:
        """Bytes that each running guest wrote to each disk since it was started, by the disk's device."""
        with self._lock:
            opened = dict(self._disks)
        rows = {
            cls: self._db.rows(cls) for cls in ("VM", "VBD", "VDI")
        }  # as they are now, whatever goes away meanwhile
        written = {}
        for vm_ref, disks in opened.items():
            by_disk = {disk.uuid: disk.written_bytes for disk in disks}
            written[vm_ref] = {device: by_disk.get(uuid, 0) for device, uuid in _attached(vm_ref, rows)}
        return written

    def config(self, vm_ref: str) -> GuestConfig:
        """What the VM's ``other_config`` asks for; a guest that does nothing when it asks for nothing."""
        text = self._db.field("VM", vm_ref, "other_config").get(KEY)
        if text is None:
            return GuestConfig()
        try:
            return msgspec.json.decode(text, type=GuestConfig)
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"{KEY} is no guest: {error}") from None

    def _end(self, vm_ref: str, *, cleanly: bool) -> None:
        with self._lock:
            guest = self._guests.get(vm_ref)
            if guest is None:
                return
            guest.end(cleanly=cleanly)
            self._last[vm_ref] = guest.report()
            del self._guests[vm_ref], self._disks[vm_ref]

    def _change_state(self, vm_ref: str, config: GuestConfig) -> None:
        if config.changes_state and config.kind != "none":
            own_state.change(self._db, vm_ref, config.seed)

    def _running(self, vm_ref: str) -> Guest:
        guest = self._guests.get(vm_ref)
        if guest is None:
            raise NoSuchObject("no guest runs in that VM", evidence={"id": vm_ref})
        return guest

    def _disks_of(self, vm_ref: str, config: GuestConfig) -> list[str]:
        """uuids of the VDIs that the guest writes to, by the positions of its read-write disks."""
        if config.kind == "none":
            return []
        vbds = [self._db.get("VBD", ref) for ref in self._db.field("VM", vm_ref, "VBDs")]
        mine = [v for v in vbds if v["type"] == "Disk" and v["mode"] == "RW" and not v["empty"]]
        mine.sort(key=lambda vbd: int(vbd["userdevice"]))
        return [self._db.field("VDI", mine[n]["VDI"], "uuid") for n in config.disks if n < len(mine)]

    def _workload(self, config: GuestConfig, disks: list[Disk]) -> Workload:
        match config.kind:
            case "blocks" if disks:
                return BlockWrites(disks, config)
            case "files" if disks:
                for tool in ("mke2fs", "debugfs", "e2fsck"):
                    find_tool(tool)
                return FileWrites(disks, config, self._directory)
            case "none" | "blocks" | "files":
                return Idle()
            case other:
                raise InvalidRequest(f"no guest is of kind {other!r}", remedy="choose among none, blocks and files")


def _attached(vm_ref: str, rows: Mapping[str, Mapping[str, Row]]) -> list[tuple[str, str]]:
    """Device and uuid of each disk that a VM has."""
    vm = rows["VM"].get(vm_ref)
    vbds = [rows["VBD"][ref] for ref in (vm["VBDs"] if vm is not None else []) if ref in rows["VBD"]]
    mine = [v for v in vbds if v["type"] == "Disk" and v["currently_attached"] and v["VDI"] in rows["VDI"]]
    return [(str(v["device"]), str(rows["VDI"][v["VDI"]]["uuid"])) for v in mine]
