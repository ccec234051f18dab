"""Which hosts of a pool an NBD connection is worth trying at: ``VDI.get_nbd_info`` names those that are down, too."""

import asyncio
import time
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final

from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.nbd.opening import NbdPlace

# What was asked before a shutdown is to do for the downtime; a host that died since costs one dial.
_FRESH_SECONDS: Final = 60.0

Records = dict[str, dict[str, Any]]


class HostState(IntEnum):
    """Of a host, best first. One that is disabled is about to be emptied, or was just started."""

    GOOD = 0
    DISABLED = 1
    DOWN = 2


class NbdHosts:
    """Those of one pool, by their addresses."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._states: dict[str, HostState] = {}
        self._asked = -_FRESH_SECONDS

    async def best(self, places: Sequence[NbdPlace]) -> list[NbdPlace]:
        """The places at hosts that are up; those of disabled ones only where there are no others, and none of a host that is down."""
        if len(places) < 2:
            return list(places)  # asked for nothing: it is tried in any case
        if time.monotonic() - self._asked > _FRESH_SECONDS:
            self._states, self._asked = await self._look(), time.monotonic()
        found = [(self._states.get(place.host, HostState.GOOD), place) for place in places]
        best = min(state for state, _ in found)
        return [place for state, place in found if state is best and state is not HostState.DOWN]

    async def _look(self) -> dict[str, HostState]:
        classes = ("host", "host_metrics", "PIF")
        hosts, metrics, pifs = await asyncio.gather(*(self._calls.call(f"{cls}.get_all_records") for cls in classes))
        states = {ref: _state_of(host, metrics) for ref, host in hosts.items()}
        return {
            address: states[pif["host"]]
            for pif in pifs.values()
            if pif["host"] in states
            for address in (pif.get("IP"), *(each.partition("/")[0] for each in pif.get("IPv6", [])))
            if address
        }


def _state_of(host: dict[str, Any], metrics: Records) -> HostState:
    live = metrics.get(host.get("metrics", ""), {}).get("live", True)
    if not live:
        return HostState.DOWN
    return HostState.GOOD if host.get("enabled", True) else HostState.DISABLED
