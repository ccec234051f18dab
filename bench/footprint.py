"""The memory of a process and its children, looked at again and again while something runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from xo_warmig.model.units import KIB

_EVERY_SECONDS = 0.1


class Footprint:
    """``most_bytes`` is the largest sum of their proportional set sizes (PSS) that was seen so far."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.most_bytes = 0

    def look(self) -> None:
        """Once."""
        self.most_bytes = max(self.most_bytes, sum(_pss_bytes(pid) for pid in _family(self._pid)))


@asynccontextmanager
async def footprint(pid: int) -> AsyncIterator[Footprint]:
    """Looks on while the context lasts."""
    seen = Footprint(pid)

    async def go_on_looking() -> None:
        while True:
            await asyncio.to_thread(seen.look)
            await asyncio.sleep(_EVERY_SECONDS)

    looking = asyncio.create_task(go_on_looking())
    try:
        yield seen
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking


def _family(pid: int) -> list[int]:
    """The process and all that come of it."""
    found = [pid]
    for each in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _pss_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * KIB
    return 0
