"""One running guest: a thread that lets its workload write at the rate asked for, until it is paused, stopped or cut off."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from xo_warmig.errors import WarmigError
from xo_warmig.simulator.guests.workload import Workload

_TICK_SECONDS = 0.05
STATE_SECONDS = 2.0
"""How often a guest changes its VM's own state."""
_MOST_OWED_SECONDS = 1.0  # a guest that could not write for longer does not catch up


class Guest:
    """A workload at work. ``disks`` is closed when the guest ends. ``change_state`` changes what else a running VM changes.

    ``idle``: neither of them ever does anything, so that a pool may have a thousand of these.
    """

    def __init__(
        self,
        workload: Workload,
        disks: ExitStack,
        *,
        rate: float,
        ignores_shutdown: bool,
        change_state: Callable[[], None],
        idle: bool = False,
    ) -> None:
        self.ignores_shutdown = ignores_shutdown
        self.error: str | None = None
        self._workload = workload
        self._disks = disks
        self._rate = rate
        self._change_state = change_state
        self._idle = idle
        self._turn = threading.Lock()  # held by whoever uses the workload
        self._ready = threading.Event()
        self._ending = threading.Event()
        self._paused = False
        self._thread = threading.Thread(target=self._run, name="guest", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def pause(self) -> None:
        with self._turn:
            self._paused = True

    def unpause(self) -> None:
        with self._turn:
            self._paused = False

    def set_rate(self, rate: float) -> None:
        """Bytes a second; 0 stops the writing."""
        self._rate = max(0.0, rate)

    def write_now(self, count_bytes: int) -> int:
        """Write at once, at least one unit of the workload; returns the bytes. Nothing when the guest has failed."""
        self._ready.wait()
        written = 0

        def write() -> None:
            nonlocal written
            written = self._workload.write(max(count_bytes, self._workload.unit_bytes()))

        self._guarded(write)
        return written

    def change_state_now(self) -> None:
        """Change the VM's own state at once."""
        self._ready.wait()
        self._guarded(self._change_state)

    def end(self, *, cleanly: bool) -> None:
        """Stop; a clean end writes what guests write last. Nothing is written once this has returned."""
        self._ready.wait()
        self._ending.set()
        self._thread.join()
        if cleanly:
            self._guarded(self._workload.flush)
            self._guarded(self._change_state)
        with self._turn:
            self._workload.close()
            self._disks.close()

    def report(self) -> dict[str, Any]:
        """What it has written, at which rate, and what went wrong."""
        self._ready.wait()
        with self._turn:
            return self._workload.report() | {"rate": self._rate, "paused": self._paused, "error": self.error}

    def _run(self) -> None:
        self._guarded(self._workload.prepare)
        self._ready.set()
        if self._idle:
            self._ending.wait()
            return
        owed, last = 0.0, time.monotonic()
        state_at = last + STATE_SECONDS
        while not self._ending.wait(_TICK_SECONDS):
            now = time.monotonic()
            if now >= state_at and not self._paused:
                self._guarded(self._change_state)
                state_at = now + STATE_SECONDS
            owed = min(
                owed + self._rate * (now - last), max(self._rate * _MOST_OWED_SECONDS, self._workload.unit_bytes())
            )
            last = now
            owed = self._write_owed(owed)

    def _write_owed(self, owed: float) -> float:
        """What is still owed afterwards: never more than before, also when the last unit was a large one."""
        if self._paused or owed < self._workload.unit_bytes():
            return owed
        before = owed

        def write() -> None:
            nonlocal owed
            owed = before - self._workload.write(int(before))

        self._guarded(write)
        return owed if owed != before else 0.0

    def _guarded(self, work: Callable[[], None]) -> None:
        """What a guest cannot read or write any more ends its work, and nothing else."""
        with self._turn:
            if self.error is not None:
                return
            try:
                work()
            except (OSError, WarmigError) as error:
                self.error = f"{type(error).__name__}: {error}"
