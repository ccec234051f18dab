"""Which pools and VMs are put together. Pure."""

import itertools
import random
from collections.abc import Sequence
from typing import NamedTuple

RELEASES = ("6.5", "7.1", "7.6", "8.0", "8.2", "8.3")
FIRST_WITH_UEFI = "8.0"
FIRST_WITH_PV_IN_PVH = "7.6"
RAW_LVM = "raw lvm"


class Combination(NamedTuple):
    """One migration: ``kind`` of the VM is its type of domain; ``scheme`` of both pools is http or https.

    Each pool has two kinds of storage, joined by ``and``. Of three disks the second is on the second kind.
    """

    source: str
    target: str
    kind: str
    firmware: str
    disks: int
    source_srs: str
    target_srs: str
    scheme: str

    def __str__(self) -> str:
        disks = f"{self.disks} on {self.source_srs} to {self.target_srs}"
        return f"{self.source} to {self.target}, {self.kind} {self.firmware}, {disks}, {self.scheme}"


VALUES: dict[str, Sequence[object]] = {
    "source": RELEASES,
    "target": RELEASES,
    "kind": ("hvm", "pv", "pv_in_pvh"),
    "firmware": ("bios", "uefi"),
    "disks": (1, 3),
    "source_srs": ("ext and nfs", "lvmoiscsi and lvm"),
    "target_srs": ("nfs and lvmoiscsi", "lvm and ext", f"{RAW_LVM} and nfs"),
    "scheme": ("http", "https"),
}


def is_valid(combination: Combination) -> bool:
    """To a release that is not older; UEFI and PV within PVH where both have it, and UEFI never for a guest that is paravirtual."""
    order = RELEASES.index
    if order(combination.target) < order(combination.source):
        return False
    if combination.kind == "pv_in_pvh" and order(combination.source) < order(FIRST_WITH_PV_IN_PVH):
        return False
    if combination.firmware == "bios":
        return True
    return combination.kind == "hvm" and order(combination.source) >= order(FIRST_WITH_UEFI)


def every() -> list[Combination]:
    """All valid ones."""
    products = itertools.product(*VALUES.values())
    return [each for values in products if is_valid(each := Combination(*values))]  # type: ignore[arg-type]


def pairs_of(combination: Combination) -> frozenset[tuple[tuple[str, object], tuple[str, object]]]:
    """Every two of its values, with the names of what they are values of."""
    return frozenset(itertools.combinations(zip(Combination._fields, combination, strict=True), 2))


def covering(seed: int = 1) -> list[Combination]:
    """A few that have every pair of values which any valid one has: each time the one with most that are still missing."""
    candidates = every()
    random.Random(seed).shuffle(candidates)
    pairs = {each: pairs_of(each) for each in candidates}
    missing = frozenset().union(*pairs.values())
    chosen: list[Combination] = []
    while missing:
        best = max(candidates, key=lambda each: len(pairs[each] & missing))
        chosen.append(best)
        missing -= pairs[best]
    return chosen
