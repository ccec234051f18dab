"""What is read of the running guests every few seconds, as rrdd does for the hosts of a pool together."""

import threading
import time
from typing import TYPE_CHECKING

from xo_warmig.simulator.database import Database
from xo_warmig.simulator.metrics.archive import STEP_SECONDS, Archive

if TYPE_CHECKING:
    from xo_warmig.simulator.guests import Guests


class Recorder:
    """A thread. What it has is lost with the process; a real host keeps it over a restart of the toolstack."""

    def __init__(self, db: Database, guests: "Guests", *, step_seconds: int = STEP_SECONDS) -> None:
        self.step_seconds = step_seconds
        self._db = db
        self._guests = guests
        self._lock = threading.Lock()
        self._archives: dict[str, Archive] = {}  # by reference of the VM
        self._last: dict[str, dict[str, int]] = {}  # bytes that a guest had written to its devices
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rrdd", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def archives(self, host_ref: str) -> dict[str, Archive]:
        """Of the VMs that run on a host, by uuid; as they are now."""
        vms = self._db.rows("VM")
        here = {ref: str(vm["uuid"]) for ref, vm in vms.items() if vm["resident_on"] == host_ref}
        with self._lock:
            return {here[ref]: archive.copy() for ref, archive in self._archives.items() if ref in here}

    def _run(self) -> None:
        last = time.time()
        while not self._ending.wait(self.step_seconds - time.time() % self.step_seconds):
            now = time.time()
            if now - last > self.step_seconds / 2:  # a wait may end a little early, and then again
                self.record(round(now / self.step_seconds) * self.step_seconds, now - last)
                last = now

    def record(self, at: int, seconds: float) -> None:
        """Take a reading ``seconds`` after the one before. Of a guest that is seen for the first time there is no rate yet."""
        written = self._guests.written()
        with self._lock:
            self._archives = {ref: self._archives.get(ref) or Archive(self.step_seconds) for ref in written}
            for ref, devices in written.items():
                before = self._last.get(ref)
                if before is not None:
                    self._archives[ref].add(at, _rates(before, devices, seconds))
            self._last = written


def _rates(before: dict[str, int], now: dict[str, int], seconds: float) -> dict[str, float]:
    """Of bytes per second; a count that began anew is counted from there."""
    grown = {device: count - before.get(device, 0) for device, count in now.items()}
    return {f"vbd_{device}_write": (more if more >= 0 else now[device]) / seconds for device, more in grown.items()}
