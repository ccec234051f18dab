"""Chains of images, as VHD files on a file SR form them: create, snapshot, resize, destroy, and which blocks a chain has.

Locks: a writer holds its image's pen for the length of a write, and whatever rearranges that image's chain takes the pen first, then
the store's lock. Readers hold neither while they read bytes.
"""

import functools
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

from xo_warmig.errors import InvalidRequest, NoSuchObject
from xo_warmig.simulator.storage import images, index
from xo_warmig.simulator.storage.blocks import BLOCK, MOST_BLOCKS, BlockFile, growth_bytes, image_bytes
from xo_warmig.simulator.storage.change_logs import ChangeLogs
from xo_warmig.simulator.storage.disk import Disk
from xo_warmig.simulator.storage.index import RAW, VHD, Image
from xo_warmig.simulator.storage.merging import Step, merge, next_step


def _grow_freely(uuid: str, added_bytes: int) -> None:
    """No repository to ask: any growth is fine."""


class ChainStore:
    """All images of a pool, by VDI uuid. Safe to use from any thread.

    ``on_grow(uuid, added_bytes)`` is asked before an image takes more room and may raise OSError(ENOSPC).
    Unknown uuids raise NoSuchObject.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.lock = threading.RLock()
        self.on_grow: Callable[[str, int], None] = _grow_freely
        self._index_path = directory / "index.json"
        self.images = index.load(self._index_path)
        self.files = {uuid: BlockFile(directory / image.file) for uuid, image in self.images.items()}
        self.logs = ChangeLogs(directory / "changes")
        self._pens: dict[str, threading.RLock] = {}
        self._sweep()

    # -- what there is

    def exists(self, uuid: str) -> bool:
        return uuid in self.images

    def uuids(self) -> list[str]:
        """All images, base copies included."""
        return list(self.images)

    def image(self, uuid: str) -> Image:
        try:
            return self.images[uuid]
        except KeyError:
            raise NoSuchObject(f"no image {uuid}", evidence={"id": uuid}) from None

    def parent(self, uuid: str) -> str | None:
        return self.image(uuid).parent

    def children(self, uuid: str) -> list[str]:
        with self.lock:
            return [other for other, image in self.images.items() if image.parent == uuid]

    def chain(self, uuid: str) -> list[str]:
        """The image, its parent, and so on to the root."""
        with self.lock:
            found, at = [uuid], self.image(uuid).parent
            while at is not None:
                found.append(at)
                at = self.image(at).parent
        return found

    def depth(self, uuid: str) -> int:
        """How many images the chain has, itself included."""
        return len(self.chain(uuid))

    def virtual_size_bytes(self, uuid: str) -> int:
        return self.image(uuid).size_bytes

    def physical_bytes(self, uuid: str) -> int:
        """What the image alone, without its parents, takes of its repository."""
        with self.lock:
            return image_bytes(self.image(uuid).size_bytes, len(self.files[uuid].blocks))

    def allocated_blocks(self, uuid: str) -> list[int]:
        """The blocks that any image of the chain has, ascending."""
        return self._blocks_of(set(self.chain(uuid)), uuid)

    def changed_blocks(self, uuid: str, base_uuid: str) -> list[int]:
        """The blocks of the images that are in exactly one of the two chains, ascending: what vhd-tool puts in a delta."""
        with self.lock:
            return self._blocks_of(set(self.chain(uuid)) ^ set(self.chain(base_uuid)), uuid)

    # -- changes

    def create(self, uuid: str, virtual_size_bytes: int, image_format: str = VHD) -> None:
        """An empty image; its size is rounded up to whole blocks, one at least."""
        if uuid in self.images:
            raise InvalidRequest(f"image {uuid} exists", evidence={"id": uuid})
        with self.lock:
            size = _rounded(virtual_size_bytes)
            self._add(uuid, Image(file=_new_name(), size_bytes=size, image_format=image_format))
            self.save()

    def destroy(self, uuid: str) -> None:
        """Remove a leaf at once. An image with children is hidden instead, and left to the collector."""
        with self.pen(uuid), self.lock:
            image = self.image(uuid)
            if self.children(uuid):
                image.hidden = True
            else:
                self.drop(uuid)
            self.save()

    def resize(self, uuid: str, virtual_size_bytes: int) -> None:
        """Grow. Raises InvalidRequest when it would shrink."""
        with self.pen(uuid), self.lock:
            image, size = self.image(uuid), _rounded(virtual_size_bytes)
            if size < image.size_bytes:
                raise InvalidRequest("shrinking not allowed", evidence={"id": uuid, "size": image.size_bytes})
            image.size_bytes = size
            self.save()

    def snapshot(self, uuid: str, snapshot_uuid: str, base_uuid: str) -> str | None:
        """Let what ``uuid`` has so far become ``base_uuid``, hidden, with two empty children: ``uuid`` and ``snapshot_uuid``.

        Returns ``base_uuid``; or None when ``uuid`` had no blocks of its own, so that both just hang on its former parent.
        A clone is made in the same way. The children of a raw image are VHDs.
        """
        with self.pen(uuid), self.lock:
            image = self.image(uuid)
            kept_as = VHD if image.image_format == RAW else image.image_format
            new = functools.partial(Image, size_bytes=image.size_bytes, image_format=kept_as)
            if not self.files[uuid].blocks:
                self._add(snapshot_uuid, new(file=_new_name(), parent=image.parent))
                image.image_format = kept_as
                self.save()
                return None
            self.images[base_uuid], self.files[base_uuid] = image, self.files[uuid]
            image.hidden = True
            for child in (uuid, snapshot_uuid):
                self._add(child, new(file=_new_name(), parent=base_uuid))
            self.save()
            return base_uuid

    def open(self, uuid: str, *, writable: bool = False) -> Disk:
        """The disk as its chain gives it. To be used in a ``with``."""
        self.image(uuid)
        return Disk(self, uuid, writable=writable)

    def copy(self, uuid: str, into_uuid: str, base_uuid: str | None = None) -> None:
        """Copy blocks into another image: all that are allocated, or those changed since ``base_uuid``."""
        blocks = self.allocated_blocks(uuid) if base_uuid is None else self.changed_blocks(uuid, base_uuid)
        with self.open(uuid) as source, self.open(into_uuid, writable=True) as target:
            for block in blocks:
                target.pwrite(block * BLOCK, source.pread(block * BLOCK, BLOCK))

    def load_image(self, uuid: str, path: Path) -> None:
        """Write a file into the image: raw, or VHD or qcow2 by way of ``qemu-img``. It must not be larger than the image."""
        with self.open(uuid, writable=True) as disk:
            images.load(disk, path)

    def save_image(self, uuid: str, path: Path) -> None:
        """Write the disk to a sparse raw file."""
        with self.open(uuid) as disk:
            images.save(disk, path, self.allocated_blocks(uuid))

    def coalesce_once(self, allowed: Callable[[str], bool] = lambda uuid: True) -> Step | None:
        """Do the next step of garbage collection, if there is one; ``allowed`` says which images may be touched."""
        # Asked before any lock of ours is held: the answer is in the records, and who holds those may be waiting for a chain.
        free = {uuid for uuid in self.uuids() if allowed(uuid)}
        step = next_step(self, free.__contains__)
        if step is not None:
            merge(self, step)
        return step

    def pen(self, uuid: str) -> threading.RLock:
        """The lock that a writer of the image holds."""
        with self.lock:
            return self._pens.setdefault(uuid, threading.RLock())

    # -- for the modules of this package

    def holder(self, uuid: str, block: int) -> BlockFile | None:
        """The file that has the block, seen from ``uuid``; None when it reads as zeros."""
        with self.lock:
            for one in self.chain(uuid):
                if block in self.files[one].blocks:
                    return self.files[one]
        return None

    def grow(self, uuid: str, blocks: int) -> None:
        """Ask for room for so many blocks."""
        self.on_grow(uuid, growth_bytes(blocks))

    def drop(self, uuid: str) -> None:
        """Forget an image and remove its file; the caller holds the lock and saves."""
        del self.images[uuid]
        self.files.pop(uuid).unlink()
        self._pens.pop(uuid, None)

    def save(self) -> None:
        """Write the index; the caller holds the lock."""
        index.save(self._index_path, self.images)

    def _add(self, uuid: str, image: Image) -> None:
        self.images[uuid] = image
        self.files[uuid] = BlockFile(self.directory / image.file)

    def _blocks_of(self, uuids: set[str], seen_from: str) -> list[int]:
        with self.lock:
            end = self.image(seen_from).size_bytes // BLOCK
            return sorted(b for b in set().union(*(self.files[u].blocks for u in uuids)) if b < end)

    def _sweep(self) -> None:
        """Remove files that a killed process left behind without an entry."""
        known = {image.file for image in self.images.values()}
        for path in self.directory.glob("*.blocks"):
            if path.name not in known:
                path.unlink()


def _new_name() -> str:
    return f"{secrets.token_hex(8)}.blocks"


def _rounded(size_bytes: int) -> int:
    blocks = max(1, -(-size_bytes // BLOCK))
    if blocks > MOST_BLOCKS:
        raise InvalidRequest(f"{size_bytes} bytes are more than an image can have", evidence={"size": size_bytes})
    return blocks * BLOCK
