"""Taking the looks and traces that a ``Story`` is made of, from simulated pools."""

import time
from collections.abc import Collection
from typing import Any

from tests.faults.evidence import Json, Look
from tests.pools import XapiSession, control
from xo_warmig.simulator.launch import Pool

_TELLING_SECONDS = 10.0


class Watcher:
    """Looks at one pool, which may be killed and started again in between."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._session: XapiSession | None = None

    @property
    def session(self) -> XapiSession:
        if self._session is None:
            self._session = XapiSession(self.pool)
        return self._session

    def mark(self) -> int:
        """Where its trace is now, for ``trace``."""
        return int(control(self.pool, "trace?since=1000000000")["number"])

    def trace(self, since: int) -> Json:
        """All that came after; a pool keeps it when it is killed."""
        trace: Json = control(self.pool, f"trace?since={since}")
        return trace

    def killed(self) -> None:
        """Its sessions are gone."""
        self._session = None

    def look(self, name: str, bystanders: Collection[str], *, hashed: bool) -> Look:
        """At the VMs, disks and snapshots whose names begin with ``name``, and at bystanders. With hashes storage is tidied up first."""
        if hashed:
            control(self.pool, "collect", now=True)
        state = self._hashed(name, bystanders) if hashed else control(self.pool, "state")
        return Look(
            state=state,
            vms=self._records(name, bystanders),
            tasks=list(self.session.call("task.get_all_records").values()),
        )

    def until_told(self, migration: str) -> None:
        """Until its task here, if there is one, says that it has ended, which comes a moment after the end."""
        deadline = time.monotonic() + _TELLING_SECONDS
        while any(
            migration in task["name_description"] and task["status"] == "pending"
            for task in self.session.call("task.get_all_records").values()
        ):
            assert time.monotonic() < deadline, "its task does not end"
            time.sleep(0.05)

    def hash_of(self, vdi: str) -> str | None:
        state = control(self.pool, f"state?hash=1&vdi={vdi}")
        return next((str(each["hash"]) for each in state["vdis"] if each["uuid"] == vdi), None)

    def _hashed(self, name: str, bystanders: Collection[str]) -> Json:
        state: Json = control(self.pool, "state")
        theirs = {vbd["vdi"] for vm in state["vms"] if vm["uuid"] in bystanders for vbd in vm["vbds"]}
        for vdi in state["vdis"]:
            if vdi["managed"] and (vdi["uuid"] in theirs or vdi["name_label"].startswith(name)):
                vdi["hash"] = self.hash_of(vdi["uuid"])
        return state

    def _records(self, name: str, bystanders: Collection[str]) -> dict[str, Json]:
        found: dict[str, Json] = {}
        records: dict[str, Any] = self.session.call("VM.get_all_records")
        for ref, record in records.items():
            if record["uuid"] in bystanders or record["name_label"].startswith(name):
                found[record["uuid"]] = record | {"ref": ref}
        return found
