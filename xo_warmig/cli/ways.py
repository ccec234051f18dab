"""How disks are read, and why so and no better, in words for people."""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from xo_warmig.model.findings import PlannedDisk
from xo_warmig.model.passes import PassReport, Way

_WORDS: Final = {
    "vhd": "from a VHD export",
    "vhdDelta": "from a VHD export against the earlier copy's base",
    "nbd": "over NBD",
    "cbt": "over NBD, changed blocks only",
}


class Reading(Protocol):
    """A disk in a pass, be it planned, running or over."""

    @property
    def disk(self) -> str: ...

    @property
    def way(self) -> Way | None: ...

    @property
    def way_reason(self) -> str: ...


def ways_of_disks(disks: Iterable[Reading], names: Mapping[str, str] | None = None) -> list[str]:
    """``read over NBD: why``; where disks differ, a line for each of the ways with its disks.

    Args:
        names: by uuid; a disk that has none is called by that.
    """
    by_way: dict[str, list[str]] = {}
    for disk in disks:
        if disk.way is not None and disk.way_reason:
            name = (names or {}).get(disk.disk, disk.disk)
            by_way.setdefault(_told(disk.way, disk.way_reason), []).append(name)
    if len(by_way) == 1:
        return list(by_way)
    return [f"{_disks(which)} {told}" for told, which in by_way.items()]


def ways_planned(disks: Iterable[PlannedDisk]) -> list[str]:
    """The same of a plan's first pass, disks by their device."""
    by_way: dict[str, list[str]] = {}
    for disk in disks:
        by_way.setdefault(_told(disk.way, disk.way_reason), []).append(disk.device)
    return [f"{_disks(which)}: {told}" for told, which in by_way.items()]


def ways_of_passes(passes: Iterable[PassReport]) -> list[str]:
    """``Pass 1 read ...``, ``Passes 2 to 4 ...``: passes that follow one another and were read alike have one line."""
    found: list[tuple[int, int, list[str]]] = []
    for one in passes:
        told = ways_of_disks(one.disks)
        if found and told == found[-1][2]:
            found[-1] = (found[-1][0], one.number, told)
        elif told:
            found.append((one.number, one.number, told))
    return [
        f"{f'Pass {first}' if first == last else f'Passes {first} to {last}'}: {each}"
        for first, last, told in found
        for each in told
    ]


def _told(way: str, reason: str) -> str:
    return f"read {_WORDS.get(way, way)}: {reason}"


def _disks(names: list[str]) -> str:
    return f"disk{'s' if len(names) > 1 else ''} {', '.join(names)}"
