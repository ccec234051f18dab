"""How deep the chain of images under a disk is, as far as its records tell."""

from collections.abc import Iterable, Mapping
from typing import Any

PARENT = "vhd-parent"  # in sm_config, for VHD and qcow2 images alike; VDI.parent is not kept by XAPI


def chain_depth(vdi: Mapping[str, Any], vdis: Iterable[Mapping[str, Any]]) -> int:
    """The number of images from this one to the root, itself included: 1 for a disk that was never snapshotted or cloned."""
    parents = {record["uuid"]: record["sm_config"].get(PARENT) for record in vdis}
    seen = {vdi["uuid"]}
    parent = vdi["sm_config"].get(PARENT)
    depth = 1
    while parent and parent not in seen:
        seen.add(parent)
        depth += 1
        parent = parents.get(parent)
    return depth
