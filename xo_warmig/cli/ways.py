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
    known = names or {}
    by_way = _by_way(
        (known.get(disk.disk, disk.disk), disk.way, disk.way_reason) for disk in disks if disk.way and disk.way_reason
    )
    return list(by_way) if len(by_way) == 1 else [f"{_disks(which)} {told}" for told, which in by_way.items()]


def ways_planned(disks: Iterable[PlannedDisk]) -> list[str]:
    """The same of a plan's first pass, disks by their device."""
    by_way = _by_way((disk.device, disk.way, disk.way_reason) for disk in disks)
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


def _by_way(disks: Iterable[tuple[str, str, str]]) -> dict[str, list[str]]:
    """Names of disks by how these are read, and why so; each disk has its name, way and reason."""
    found: dict[str, list[str]] = {}
    for name, way, reason in disks:
        found.setdefault(f"read {_WORDS.get(way, way)}: {reason}", []).append(name)
    return found


def _disks(names: list[str]) -> str:
    return f"disk{'s' if len(names) > 1 else ''} {', '.join(names)}"
