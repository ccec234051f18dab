"""What becomes of a disk's log of changed blocks as hosts take and release the disk, after SM (libs/sm/VDI.py, activate and deactivate).

Who has a disk is read from the ``host_<ref>`` keys of its ``sm_config``. A host that takes it for writing opens its log, and one that
finds it not consistent turns tracking off. A host that takes it for reading does not look, but whichever host releases the disk makes the
log consistent: after a crash a single read hides that the log misses what was written last.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xo_warmig.simulator.clock import now

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database, Row
    from xo_warmig.simulator.storage import ChangeLogs

INCONSISTENT = ("VDI_CBT_METADATA_INCONSISTENT", "Changed Block Tracking metadata is inconsistent for disk {}.")
RESIZE_FAILED = ("VDI_CBT_RESIZE_FAILED", "Resizing of CBT metadata for disk {} failed.")
SNAPSHOT_FAILED = ("VDI_CBT_SNAPSHOT_FAILED", "Creating CBT metadata log for disk {} failed.")

_WARNING = 3


def hosts_of(sm_config: Mapping[str, str]) -> dict[str, str]:
    """Which hosts have a disk, and how: RO or RW."""
    return {key.removeprefix("host_"): how for key, how in sm_config.items() if key.startswith("host_OpaqueRef:")}


def is_attached(row: Mapping[str, Any]) -> bool:
    """Whether any host has the disk of this record."""
    return bool(hosts_of(row["sm_config"]))


def turn_off(db: "Database", logs: "ChangeLogs", vdi: str, alert: tuple[str, str]) -> None:
    """End the tracking of a disk because something went wrong, and leave a message that says so."""
    name, text = alert
    with db.lock:
        uuid = db.row("VDI", vdi)["uuid"]
        logs.end(uuid)
        db.set("VDI", vdi, cbt_enabled=False)
        fields = {"cls": "VDI", "obj_uuid": uuid, "body": text.format(uuid), "timestamp": now()}
        db.create("message", name=name, priority=_WARNING, **fields)


class Tracking:
    """Follows every disk of a pool once ``follow`` was called."""

    def __init__(self, db: "Database", logs: "ChangeLogs") -> None:
        self._db = db
        self._logs = logs
        self._hosts: dict[str, dict[str, str]] = {}

    def follow(self) -> None:
        """From now on. Hosts that have disks already took them before."""
        self._hosts = {ref: hosts_of(row["sm_config"]) for ref, row in self._db.rows("VDI").items()}
        self._db.watchers.append(self._note)

    def crash(self, host: str) -> None:
        """The host is gone without having released anything. The caller holds the database's lock until no disk names the host."""
        for ref, hosts in self._hosts.items():
            if hosts.pop(host, "") == "RW":
                self._logs.lose(self._db.row("VDI", ref)["uuid"])

    def _note(self, kind: str, cls: str, ref: str, fields: "Row") -> None:
        if cls != "VDI" or (kind != "delete" and "sm_config" not in fields):
            return
        before = self._hosts.pop(ref, {})
        if kind == "delete":
            return
        after = self._hosts[ref] = hosts_of(fields["sm_config"])
        uuid = self._db.row("VDI", ref)["uuid"]
        for _ in before.keys() - after.keys():
            self._logs.close(uuid)
        for host in after.keys() - before.keys():
            if after[host] == "RW" and not self._logs.open(uuid):
                turn_off(self._db, self._logs, ref, INCONSISTENT)
