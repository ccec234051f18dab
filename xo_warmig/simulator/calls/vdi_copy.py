"""VDI.copy: the content of a disk into a new or an existing one, on the server's side."""

from typing import TYPE_CHECKING

from xo_warmig.simulator import attach
from xo_warmig.simulator.calls import disks
from xo_warmig.simulator.calls.operations import Hold, doing
from xo_warmig.simulator.calls.sm import assert_plugged
from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.storage import BLOCK

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database
    from xo_warmig.simulator.dispatch import Call

_KEPT = ("name_label", "name_description", "type", "sharable", "read_only", "other_config", "xenstore_data", "tags")


def copy(call: "Call", vdi: str, sr: str = NULL, base_vdi: str = NULL, into_vdi: str = NULL) -> str:
    """Copy all blocks, or those changed since ``base_vdi``, to ``into_vdi`` or to a new disk on ``sr``. Gives the written disk."""
    db = call.pool.db
    with doing(call, Hold("VDI", vdi, "copy")):
        row = db.row("VDI", vdi)
        if db.exists("VDI", into_vdi):
            _assert_writable(call, into_vdi, row["virtual_size"])
            _fill(call, vdi, base_vdi, into_vdi)
            return into_vdi
        if not db.exists("SR", sr):
            raise XapiFailure("INVALID_VALUE", "sr", sr)
        assert_plugged(db, sr)
        made = disks.create(call, sr, row["virtual_size"], **{name: row[name] for name in _KEPT} | {"read_only": False})
        try:
            _fill(call, vdi, base_vdi, made)
        except BaseException:
            disks.destroy(call, made)
            raise
        db.set("VDI", made, read_only=row["read_only"])
        return made


def _assert_writable(call: "Call", vdi: str, needed_bytes: int) -> None:
    row = call.pool.db.row("VDI", vdi)
    if row["read_only"]:
        raise XapiFailure("VDI_READONLY", vdi)
    if row["virtual_size"] < needed_bytes:
        raise XapiFailure("VDI_TOO_SMALL", vdi, str(needed_bytes))


def _reaching(db: "Database", sr: str) -> str:
    """A host that has the SR."""
    assert_plugged(db, sr)
    pbd = db.find("PBD", SR=sr, currently_attached=True)[0]
    return str(db.row("PBD", pbd)["host"])


def _fill(call: "Call", source: str, base: str, target: str) -> None:
    """Copy block by block, both disks attached to control domains meanwhile."""
    pool, db = call.pool, call.pool.db
    uuid, into = db.row("VDI", source)["uuid"], db.row("VDI", target)["uuid"]
    here, there = (_reaching(db, db.row("VDI", vdi)["SR"]) for vdi in (source, target))
    with attach.attached(pool, source, here, "RO"), attach.attached(pool, target, there, "RW"):
        if db.exists("VDI", base):
            blocks = pool.storage.changed_blocks(uuid, db.row("VDI", base)["uuid"])
        else:
            blocks = pool.storage.allocated_blocks(uuid)
        try:
            with pool.storage.open(uuid) as reader, pool.storage.open(into, writable=True) as writer:
                for done, block in enumerate(blocks):
                    if pool.tasks.is_cancelled(call.task):
                        raise XapiFailure("TASK_CANCELLED", call.task)
                    writer.pwrite(block * BLOCK, reader.pread(block * BLOCK, BLOCK))
                    call.progress(done / len(blocks))
        except OSError as error:
            raise XapiFailure("VDI_COPY_FAILED") from error
    db.set("VDI", target, physical_utilisation=pool.space.disk_bytes(db.row("VDI", target)))
    pool.space.refresh(db.row("VDI", target)["SR"])


CALLS = {"VDI.copy": copy}
