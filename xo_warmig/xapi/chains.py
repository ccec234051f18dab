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


def chain_of(vdi: Mapping[str, Any], vdis: Iterable[Mapping[str, Any]]) -> Chain:
    """The chain under one of a storage's disks."""
    parents = {record["uuid"]: record["sm_config"].get(PARENT) for record in vdis}
    children = Counter(parents.values())
    seen: set[str] = {vdi["uuid"]}
    parent = vdi["sm_config"].get(PARENT)
    unmerged = 0
    while parent and parent not in seen:
        seen.add(parent)
        unmerged += children[parent] == 1
        parent = parents.get(parent)
    return Chain(len(seen), unmerged)
