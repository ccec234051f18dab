"""Which hosts of a pool an NBD connection is worth trying at: ``VDI.get_nbd_info`` names those that are down, too."""

import asyncio
import time
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final

from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.nbd_opening import NbdPlace

_FRESH_SECONDS: Final = 10.0

Records = dict[str, dict[str, Any]]


class Standing(IntEnum):
    """Of a host, best first. One that is disabled is about to be emptied, or was just started."""

    GOOD = 0
    DISABLED = 1
    DOWN = 2


class NbdHosts:
    """Those of one pool, by their addresses."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._standings: dict[str, Standing] = {}
        self._asked = -_FRESH_SECONDS

    async def best(self, places: Sequence[NbdPlace]) -> list[NbdPlace]:
        """The places at hosts that are up; those of disabled ones only where there are no others, and none of a host that is down."""
        if len(places) < 2:
            return list(places)  # asked for nothing: it is tried in any case
        if time.monotonic() - self._asked > _FRESH_SECONDS:
            self._standings, self._asked = await self._look(), time.monotonic()
        found = [(self._standings.get(place.host, Standing.GOOD), place) for place in places]
        best = min(standing for standing, _ in found)
        return [place for standing, place in found if standing is best and standing is not Standing.DOWN]

    async def _look(self) -> dict[str, Standing]:
        classes = ("host", "host_metrics", "PIF")
        hosts, metrics, pifs = await asyncio.gather(*(self._calls.call(f"{cls}.get_all_records") for cls in classes))
        standings = {ref: _standing(host, metrics) for ref, host in hosts.items()}
        return {
            address: standings[pif["host"]]
            for pif in pifs.values()
            if pif["host"] in standings
            for address in (pif.get("IP"), *(each.partition("/")[0] for each in pif.get("IPv6", [])))
            if address
        }


def _standing(host: dict[str, Any], metrics: Records) -> Standing:
    live = metrics.get(host.get("metrics", ""), {}).get("live", True)
    if not live:
        return Standing.DOWN
    return Standing.GOOD if host.get("enabled", True) else Standing.DISABLED
