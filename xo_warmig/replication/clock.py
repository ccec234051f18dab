"""Time as a migration sees it, so that tests can bring their own."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """The server's clock; it alone decides (pool timestamps are never compared across pools)."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment, never going back."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
