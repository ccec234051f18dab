"""A loop whose time jumps to the next timer whenever nothing else is to be done, and a clock on it."""

import asyncio
import heapq
from collections.abc import Awaitable
from typing import Any


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time jumps to the next timer whenever nothing else is to be done."""

    _now = 0.0
    _scheduled: list[Any]
    _ready: Any

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        while self._scheduled and self._scheduled[0]._cancelled:
            heapq.heappop(self._scheduled)._scheduled = False
        if not self._ready:
            if not self._scheduled:
                raise RuntimeError("nothing will ever happen again")
            self._now = max(self._now, self._scheduled[0]._when)
        super()._run_once()  # type: ignore[misc]


class VirtualClock:
    """The loop's time."""

    def now(self) -> float:
        return 1_800_000_000.0 + self.monotonic()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run_virtual(body: Awaitable[Any]) -> Any:
    async def whole() -> Any:
        return await body

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(whole())
