"""The chain of images under a disk, as far as its records tell."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

PARENT = "vhd-parent"  # in sm_config, for VHD and qcow2 images alike; VDI.parent is not kept by XAPI


class Chain(NamedTuple):
    """``depth`` images from the disk's own to the root: 1 for a disk that was never snapshotted or cloned.

    ``unmerged`` of them are to be merged into their parents, which have no other child, once the storage's garbage collector comes to it
    (SM's cleanup.py).
    """

    depth: int
    unmerged: int


class Chains:
    """The chains of a pool's disks, by all of its VDI records."""

    def __init__(self, vdis: Iterable[Mapping[str, Any]]) -> None:
        self._parents = {record["uuid"]: record["sm_config"].get(PARENT) for record in vdis}
        self._children = Counter(self._parents.values())

    def of(self, vdi: Mapping[str, Any]) -> Chain:
        """The chain under one of them."""
        seen: set[str] = {vdi["uuid"]}
        parent = vdi["sm_config"].get(PARENT)
        unmerged = 0
        while parent and parent not in seen:
            seen.add(parent)
            unmerged += self._children[parent] == 1
            parent = self._parents.get(parent)
        return Chain(len(seen), unmerged)
