"""The garbage collector's thread: a while after it was kicked it merges chains step by step, and the records follow."""

import threading
from typing import TYPE_CHECKING

from xo_warmig.simulator.storage.merging import Step

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database
    from xo_warmig.simulator.storage.chains import ChainStore
    from xo_warmig.simulator.storage.space import Space


class Collector:
    """Runs ``delay_seconds`` after a kick (VDI.destroy, SR.scan), and then until there is nothing left to do.

    An SR whose ``other_config`` says ``gc=false`` or ``coalesce=false`` is left alone, as SM does.
    """

    def __init__(self, db: "Database", storage: "ChainStore", space: "Space", *, delay_seconds: float = 5.0) -> None:
        self._db = db
        self._storage = storage
        self._space = space
        self._delay_seconds = delay_seconds
        self._kicked = threading.Event()
        self._stopping = threading.Event()
        self._collecting = threading.Lock()  # two at once would take the same step
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def kick(self) -> None:
        """There may be something to collect."""
        self._kicked.set()

    def stop(self) -> None:
        self._stopping.set()
        self._kicked.set()
        if self._thread.is_alive():
            self._thread.join()

    def collect(self) -> list[Step]:
        """Do all there is to do, now."""
        done = []
        with self._collecting:
            while not self._stopping.is_set() and (step := self._storage.coalesce_once(self._allowed)) is not None:
                self._follow(step)
                done.append(step)
        return done

    def _run(self) -> None:
        while self._kicked.wait() and not self._stopping.wait(self._delay_seconds):
            self._kicked.clear()
            self.collect()

    def _allowed(self, uuid: str) -> bool:
        """Not while a call is at work on the SR, nor for an image whose record is still being made."""
        with self._db.lock:
            vdi = self._db.resolve("VDI", uuid)
            if vdi is None:
                return False
            sr = self._db.get("SR", self._db.field("VDI", vdi, "SR"))
        settings = sr["other_config"]
        return not sr["current_operations"] and "false" not in (settings.get("gc"), settings.get("coalesce"))

    def _follow(self, step: Step) -> None:
        """The record of what is gone goes, and ``vhd-parent`` of what moved says where it hangs now."""
        with self._db.lock:
            gone = self._db.resolve("VDI", step.gone)
            sr = self._db.field("VDI", gone, "SR") if gone is not None else None
            if gone is not None:
                self._db.delete("VDI", gone)
            for uuid in step.moved:
                self._relink(uuid, step.parent)
        if sr is not None:
            self._space.rescan(sr)

    def _relink(self, uuid: str, parent: str | None) -> None:
        vdi = self._db.resolve("VDI", uuid)
        if vdi is None:
            return
        settings = {k: v for k, v in self._db.field("VDI", vdi, "sm_config").items() if k != "vhd-parent"}
        if parent is not None:
            settings["vhd-parent"] = parent
        self._db.set("VDI", vdi, sm_config=settings)
