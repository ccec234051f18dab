"""What the disks take of each storage repository, and what the SR records say about it."""

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from xo_warmig.errors import NoSuchObject
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database, Row
    from xo_warmig.simulator.storage.chains import ChainStore


_THICK = frozenset({"lvm", "lvmoiscsi", "lvmohba"})
_EXTENT = 4 << 20  # of a volume group
_SNAPSHOT_BYTES = 2 * _EXTENT


def volume_bytes(virtual_size_bytes: int) -> int:
    """A logical volume for a VHD of that size with all of its blocks: each has 4 KiB of bitmap, and the table and the end take 1 MiB."""
    return _extents(virtual_size_bytes + (virtual_size_bytes >> 9) + (1 << 20))


def _extents(count_bytes: int) -> int:
    return -(-count_bytes // _EXTENT) * _EXTENT


class Space:
    """Accounting of all SRs of a pool.

    A file SR asks nobody's leave for metadata, only for blocks, as on a full disk. On a volume group a disk that can be written has
    room for all of its blocks from the start, a snapshot next to none, and a hidden parent what it stores.
    """

    def __init__(self, db: "Database", storage: "ChainStore") -> None:
        self._db = db
        self._storage = storage
        # The innermost lock: whoever has it asks for no other. A snapshot holds the records when it comes here.
        self._lock = threading.Lock()
        self._used: dict[str, int] = {}  # SR ref -> bytes of its images
        self._foreign: dict[str, int] = {}  # SR ref -> bytes that something else takes
        self._sr_of: dict[str, str] = {}  # image uuid -> SR ref
        self._counts_later = False
        storage.on_grow = self._grow

    def free_bytes(self, sr_ref: str) -> int:
        """What is left for blocks."""
        return int(self._db.field("SR", sr_ref, "physical_size")) - self.used_bytes(sr_ref)

    def used_bytes(self, sr_ref: str) -> int:
        """What images and other things take."""
        measured = self._measure(sr_ref) if sr_ref not in self._used else 0
        with self._lock:
            return self._used.setdefault(sr_ref, measured) + self._foreign.get(sr_ref, 0)

    def require(self, sr_ref: str, needed_bytes: int) -> None:
        """Raises SR_BACKEND_FAILURE_44 when there is less than this left."""
        if needed_bytes > self.free_bytes(sr_ref):
            raise XapiFailure("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "")

    def is_thick(self, sr_ref: str) -> bool:
        """Whether it is a volume group."""
        return self._db.field("SR", sr_ref, "type") in _THICK

    def require_volume(self, sr_ref: str, virtual_size_bytes: int) -> None:
        """Before a disk that can be written is made or split off. Raises SR_BACKEND_FAILURE_44 where it has no room."""
        if self.is_thick(sr_ref):
            self.require(sr_ref, volume_bytes(virtual_size_bytes))

    def disk_bytes(self, vdi: "Row") -> int | None:
        """What a disk takes; None for a record whose image is gone, or not there yet."""
        stored = self._image_bytes(vdi["uuid"])
        if stored is None or not self.is_thick(vdi["SR"]):
            return stored
        if not vdi["managed"]:
            return _extents(stored)
        return _SNAPSHOT_BYTES if vdi["is_a_snapshot"] else volume_bytes(int(vdi["virtual_size"]))

    def fill(self, sr_ref: str, foreign_bytes: int) -> None:
        """Let something that is no image take so many bytes of the SR."""
        with self._lock:
            self._foreign[sr_ref] = foreign_bytes
        self.refresh(sr_ref)

    @contextmanager
    def counted_at_the_end(self) -> Iterator[None]:
        """For a pool that is being built: each disk would be counted again with every other one that is made.

        Raises SR_BACKEND_FAILURE_44 at the end, where a volume group has no room for what was made.
        """
        self._counts_later = True
        try:
            yield
        finally:
            self._counts_later = False
        for sr_ref in self._db.refs("SR"):
            self.rescan(sr_ref)
            if self.is_thick(sr_ref):
                self.require(sr_ref, 0)

    def refresh(self, sr_ref: str) -> None:
        """Count anew and put the result in the SR's record."""
        if self._counts_later:
            return
        measured = self._measure(sr_ref)
        with self._lock:
            self._used[sr_ref] = measured
        disks = [vdi for vdi in self._vdis(sr_ref).values() if vdi["managed"] and vdi["type"] != "cbt_metadata"]
        self._db.set("SR", sr_ref, physical_utilisation=self.used_bytes(sr_ref))
        self._db.set("SR", sr_ref, virtual_allocation=sum(int(disk["virtual_size"]) for disk in disks))

    def rescan(self, sr_ref: str) -> None:
        """As a scan does: correct the sizes of every VDI, then the SR."""
        for ref, vdi in self._vdis(sr_ref).items():
            image_bytes = self.disk_bytes(vdi)
            with self._db.lock:
                if image_bytes is not None and self._db.exists("VDI", ref):
                    self._db.set("VDI", ref, physical_utilisation=image_bytes)
        self.refresh(sr_ref)

    def _measure(self, sr_ref: str) -> int:
        total = 0
        for vdi in self._vdis(sr_ref).values():
            image_bytes = self.disk_bytes(vdi)
            if image_bytes is not None:
                self._sr_of[vdi["uuid"]] = sr_ref
                total += image_bytes
        return total

    def _vdis(self, sr_ref: str) -> "dict[str, Row]":
        """The records of one moment: meanwhile the collector, or a client, may destroy any of them."""
        with self._db.lock:
            refs = self._db.field("SR", sr_ref, "VDIs")
            return {ref: self._db.row("VDI", ref) for ref in refs if self._db.exists("VDI", ref)}

    def _image_bytes(self, uuid: str) -> int | None:
        """None for a record whose image is gone, or not there yet."""
        try:
            return self._storage.physical_bytes(uuid)
        except NoSuchObject:
            return None

    def _grow(self, uuid: str, added_bytes: int) -> None:
        sr_ref = self._sr_of.get(uuid)
        if sr_ref is None:
            vdi = self._db.resolve("VDI", uuid)
            if vdi is None:
                return
            sr_ref = self._sr_of[uuid] = self._db.field("VDI", vdi, "SR")
        if self.is_thick(sr_ref):
            return
        if added_bytes > self.free_bytes(sr_ref):
            raise OSError(errno.ENOSPC, "No space left on device")
        with self._lock:
            self._used[sr_ref] = self._used.get(sr_ref, 0) + added_bytes
