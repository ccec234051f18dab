"""Task records: their making, their ends in XAPI's order of updates, and their collection. Who runs a task is elsewhere."""

import time
from collections.abc import Sequence
from typing import Any

from xo_warmig.simulator.clock import now
from xo_warmig.simulator.database import NULL, Database

MAX_COMPLETED = 200
"""With more tasks than this the oldest completed ones go (ocaml/xapi/db_gc_util.ml)."""
KEPT_SECONDS = 65 * 60
KEPT_BY_HAND_SECONDS = 30.0
"""``task.set_status`` sets no time of the end, so what was ended by hand looks old to the next collection, one each 30 seconds."""


class Tasks:
    """The tasks of one pool. A task that its owner has destroyed meanwhile swallows every later update."""

    def __init__(self, db: Database, host: str = NULL) -> None:
        self.db = db
        self.host = host
        self._ended: dict[str, float] = {}
        self._doomed: set[str] = set()
        self._cancelled: set[str] = set()

    def create(self, label: str, description: str = "", **fields: Any) -> str:
        """A pending task of the pool's own, which it can cancel. Gives its reference."""
        self.collect()
        start = {"created": now(), "status": "pending", "type": "<none/>", "allowed_operations": ["cancel"]}
        fields = start | {"resident_on": self.host} | fields
        return self.db.create("task", name_label=label, name_description=description, **fields)

    def succeed(self, ref: str, result: str = "") -> None:
        """Ends a pending task well; anything else is left as it is. ``result`` is an XML-RPC value or empty."""
        with self.db.lock:
            if not self._pending(ref):
                return
            self._step(ref, allowed_operations=[])
            self._step(ref, finished=now())
            self._step(ref, progress=1.0)
            self._step(ref, result=result)
            self._end(ref, "success")

    def fail(self, ref: str, details: Sequence[str]) -> None:
        """Ends a pending task badly; as cancelled when that is what the code says."""
        with self.db.lock:
            if not self._pending(ref):
                return
            self._step(ref, progress=1.0)
            self._step(ref, error_info=list(details))
            self._step(ref, allowed_operations=[], finished=now())
            self._end(ref, "cancelled" if details and details[0] == "TASK_CANCELLED" else "failure")

    def set_progress(self, ref: str, fraction: float) -> None:
        with self.db.lock:
            if self._pending(ref):
                self._step(ref, progress=fraction)

    def cancel(self, ref: str) -> None:
        """Asks whoever runs the task to stop; it goes on until that one looks, and a disk transfer never does."""
        with self.db.lock:
            self.db.set("task", ref, current_operations={f"DummyRef:|{self.db.new_uuid()}|task.cancel": "cancel"})
            self._cancelled.add(ref)

    def is_cancelled(self, ref: str) -> bool:
        return ref in self._cancelled

    def destroy(self, ref: str) -> None:
        """Takes a completed task away; a pending one is marked, and goes when it ends."""
        with self.db.lock:
            operations = self.db.field("task", ref, "current_operations")
            if self._pending(ref):
                self.db.set("task", ref, current_operations=operations | {"task": "destroy"})
                self._doomed.add(ref)
            else:
                self.remove(ref)

    def remove(self, ref: str) -> None:
        """Takes a task away whatever its state."""
        with self.db.lock:
            if self.db.exists("task", ref):
                self.db.delete("task", ref)
            self._ended.pop(ref, None)
            self._doomed.discard(ref)
            self._cancelled.discard(ref)

    def finish_by_hand(self, ref: str, status: str) -> None:
        """``task.set_status``: the owner of a task says how it ended. Nothing else of it changes (ocaml/xapi/xapi_task.ml)."""
        with self.db.lock:
            self.db.set("task", ref, status=status)
            if status in ("success", "failure", "cancelled"):
                self._ended[ref] = time.monotonic() - KEPT_SECONDS + KEPT_BY_HAND_SECONDS
                if ref in self._doomed:
                    self.remove(ref)

    def collect(self) -> None:
        """Drops completed tasks that are too old or too many."""
        with self.db.lock:
            too_many = self.db.count("task") - MAX_COMPLETED
            oldest = time.monotonic() - KEPT_SECONDS
            for n, (ref, ended) in enumerate(list(self._ended.items())):
                if n < too_many or ended < oldest:
                    self.remove(ref)

    def _pending(self, ref: str) -> bool:
        return self.db.exists("task", ref) and self.db.row("task", ref)["status"] in ("pending", "cancelling")

    def _step(self, ref: str, **fields: Any) -> None:
        self.db.set("task", ref, **fields)

    def _end(self, ref: str, status: str) -> None:
        self._step(ref, status=status)
        self._ended[ref] = time.monotonic()
        if ref in self._doomed:
            self.remove(ref)
